package deadletter

import (
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	// devicesShown is how many devices of a group a view names.
	devicesShown = 100
	// keptBytes is the length that letters without a stated length were cut to.
	keptBytes = 64 << 10
)

// The kinds of a letter.
const (
	kindReport     = "report"
	kindBatch      = "batch"
	kindRelease    = "release"
	kindStored     = "stored"
	kindHello      = "hello"
	kindUnreadable = "unreadable"
)

// view is a letter as people see it: who sent it and what it reports on, never what it says.
func (l *Letters) view(m *jetstream.RawStreamMsg) *quadratv1.DeadLetterView {
	out := &quadratv1.DeadLetterView{
		Sequence: m.Sequence, Cause: strings.TrimPrefix(m.Subject, broker.PrefixDead), At: timestamppb.New(m.Time),
		Kind: kindUnreadable,
	}
	dead, err := read(m)
	if err != nil {
		out.Unfit = err.Error()
		return out
	}
	out.Subject, out.ReportSequence = strings.ToValidUTF8(dead.GetSubject(), "?"), dead.GetSequence()
	out.Bytes = max(dead.GetMessageBytes(), uint64(len(dead.GetMessage())))
	out.Kind, out.Groups = content(dead)
	if _, err := l.way(dead); err != nil {
		out.Unfit = err.Error()
	}
	return out
}

// read decodes a letter.
func read(m *jetstream.RawStreamMsg) (*quadratv1.DeadLetter, error) {
	dead := &quadratv1.DeadLetter{}
	if len(m.Data) == 0 || proto.Unmarshal(m.Data, dead) != nil {
		return nil, errUnreadable
	}
	return dead, nil
}

// cut tells whether the letter holds only the beginning of its message.
func cut(dead *quadratv1.DeadLetter) bool {
	n := uint64(len(dead.GetMessage()))
	return n < dead.GetMessageBytes() || dead.GetMessageBytes() == 0 && n == keptBytes
}

// content tells what a letter's message is and what it reports on.
func content(dead *quadratv1.DeadLetter) (kind string, groups []*quadratv1.DeadGroup) {
	switch {
	case strings.HasPrefix(dead.GetSubject(), broker.PrefixIn):
		return request(dead.GetMessage())
	case strings.HasPrefix(dead.GetSubject(), broker.PrefixHello):
		return kindHello, nil
	case strings.HasPrefix(dead.GetSubject(), broker.PrefixReport):
		return stored(dead.GetMessage())
	}
	return kindUnreadable, nil
}

// request describes what a device or a gateway sent.
func request(message []byte) (kind string, groups []*quadratv1.DeadGroup) {
	r := &quadratv1.IntakeRequest{}
	if proto.Unmarshal(message, r) != nil {
		return kindUnreadable, nil
	}
	switch {
	case r.GetReport() != nil:
		p := r.GetReport()
		return kindReport, []*quadratv1.DeadGroup{group(p.GetKappa(), p.GetRevision(), p.GetWindow(), []string{p.GetDevice()})}
	case r.GetBatch() != nil:
		p := r.GetBatch()
		return kindBatch, []*quadratv1.DeadGroup{group(p.GetKappa(), p.GetRevision(), p.GetWindow(), p.GetDevice())}
	case r.GetRelease() != nil:
		p := r.GetRelease()
		return kindRelease, []*quadratv1.DeadGroup{group(p.GetKappa(), p.GetRevision(), p.GetWindow(), []string{p.GetGateway()})}
	}
	return kindUnreadable, nil
}

// stored describes what the engine refused.
func stored(message []byte) (kind string, groups []*quadratv1.DeadGroup) {
	b := &quadratv1.StoredBatch{}
	if proto.Unmarshal(message, b) != nil {
		return kindUnreadable, nil
	}
	for _, g := range b.GetGroups() {
		groups = append(groups, group(g.GetKappa(), g.GetRevision(), g.GetWindow(), pseudonyms(g.GetDevice())))
	}
	for _, r := range b.GetReleases() {
		groups = append(groups, group(r.GetKappa(), r.GetRevision(), r.GetWindow(), pseudonyms([]uint64{r.GetGateway()})))
	}
	return kindStored, groups
}

func pseudonyms(keys []uint64) []string {
	out := make([]string, len(keys))
	for i, key := range keys {
		out[i] = fmt.Sprintf("%016x", key)
	}
	return out
}

// group describes reports. Names that are not of their form are left out: a broken message may hold anything.
func group(kappa string, revision uint32, window int64, devices []string) *quadratv1.DeadGroup {
	g := &quadratv1.DeadGroup{Revision: revision, Window: window, Reports: uint32(len(devices))}
	if wire.CheckDevice(kappa) == nil {
		g.Kappa = kappa
	}
	for _, d := range devices[:min(len(devices), devicesShown)] {
		if wire.CheckDevice(d) == nil {
			g.Devices = append(g.Devices, d)
		}
	}
	return g
}
