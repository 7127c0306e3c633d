package collector

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// planFile holds the plans that the device follows, so that one that restarts far from its server goes on answering:
// planMagic, the CRC-32C of the rest in four bytes, and a HelloReply. It may be lost at any time without harm: whoever
// can't read it says hello with nothing in hand. It holds nothing private.
const planFile = "plans"

// planMagic has another number whenever the program learns a mechanism: a file of before may lack the plans that the server spared
// a device that didn't know it.
const planMagic = "QPLANS2\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// keepPlans writes the plans that are held; the caller holds the lock.
func (c *Collector) keepPlans() {
	reply := wire.HelloReply{PlanSetVersion: c.voice.Version()}
	for h := range c.voice.Plans() {
		reply.Plans = append(reply.Plans, h.Plan)
		if n := len(reply.Live); n == 0 || reply.Live[n-1] != h.Plan.Ref {
			reply.Live = append(reply.Live, h.Plan.Ref)
		}
	}
	body := reply.Append(nil)
	content := binary.LittleEndian.AppendUint32([]byte(planMagic), crc32.Checksum(body, castagnoli))
	if err := overwrite(c.parts.Data, append(content, body...)); err != nil {
		c.parts.Log.Warn("plans not kept: after a restart without a server the device will be silent", "error", err)
	}
}

// overwrite replaces the file's content. A crash in between leaves a file whose checksum is wrong.
func overwrite(folder disk.Folder, content []byte) error {
	f, err := folder.Open(planFile, true)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Truncate(int64(len(content)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// recallPlans takes in the plans of the file, if there is one that can be read.
func (c *Collector) recallPlans() {
	reply, err := readPlans(c.parts.Data)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err != nil:
		c.parts.Log.Warn("plans not read", "error", err)
		return
	}
	if _, err := c.ApplyReply(Recalled, &reply); err != nil {
		c.parts.Log.Warn("plans not taken", "error", err)
	}
}

// errPlans says that the file of plans isn't one.
var errPlans = errors.New("the file is damaged")

// readPlans reads the file of plans.
func readPlans(folder disk.Folder) (reply wire.HelloReply, err error) {
	f, err := folder.Open(planFile, false)
	if err != nil {
		return reply, err
	}
	content, err := disk.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return reply, err
	}
	const head = len(planMagic) + crc32.Size
	if len(content) < head || string(content[:len(planMagic)]) != planMagic ||
		binary.LittleEndian.Uint32(content[len(planMagic):]) != crc32.Checksum(content[head:], castagnoli) {
		return reply, errPlans
	}
	return wire.DecodeHelloReply(content[head:])
}
