// Package spool keeps a device's reports on disk until the intake says that it has them, over days without a server. It
// stands between agent and uplink. A report is durable when Append returns; it leaves only when it is settled, or counted
// as dropped because the spool's cap was reached. What it gives back is byte for byte what was appended.
//
// The spool is a row of segments, each an eighth of the cap: reports and settlements are appended to the last one, and a
// segment whose reports are all settled is deleted, so nothing is ever rewritten and the cap holds at every moment. When
// there is no room, the oldest segment goes, or the new report is refused, as configured. docs/format/spool.md has the
// layout.
//
//	s, err := spool.Open(spool.Config{Folder: disk.OS(dir), BytesMax: 16 << 20})
//	id, err := s.Append(request)
//	e, ok, err := s.Next(0)
//	err = s.Settle(e.ID, spool.Stored)
package spool
