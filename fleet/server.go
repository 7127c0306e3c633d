package fleet

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// helloMost is the longest hello, in bytes.
const helloMost = 64 << 10

// replyBytesMost is about how many bytes of plans one reply carries; a device that lacks more gets the rest by its next hellos.
const replyBytesMost = 512 << 10

// repliesBytesMost bounds the cached replies, one for each version that devices still hold, in bytes.
const repliesBytesMost = 8 << 20

// Plans is where the server learns what a device lacks.
type Plans interface {
	// Since returns the plans published after a version of the plan set, the current version, and the references of all
	// live kappas. Equal versions mean equal plans. A version that is not of this plan set counts as 0.
	Since(version uint64) (plans []*quadratv1.DevicePlan, current uint64, live []string)
	// Version is the current version, at least as new as one that a device has heard of from another server.
	Version(heard uint64) uint64
}

// ServerConfig says how hellos are served. Zero fields take the default in brackets.
type ServerConfig struct {
	Subject string       // where devices say hello ["quadrat.hello.*"]
	Group   string       // queue group of the servers ["quadrat-hello"]
	Workers int          // hellos that are handled at once [4]
	Waiting int          // hellos that may wait; more are dropped and said again by the devices [65536]
	Clock   clock.Clock  // [clock.Real]
	Log     *slog.Logger // [discards]
	// Doubtful is told of a hello that raises a doubt, refused or not; it must not wait [nobody]
	Doubtful func(d Doubt, subject string, hello []byte)
}

func (c ServerConfig) withDefaults() ServerConfig {
	if c.Subject == "" {
		c.Subject = "quadrat.hello.*"
	}
	if c.Group == "" {
		c.Group = "quadrat-hello"
	}
	if c.Workers <= 0 {
		c.Workers = 4
	}
	if c.Waiting <= 0 {
		c.Waiting = 1 << 16
	}
	if c.Doubtful == nil {
		c.Doubtful = func(Doubt, string, []byte) {}
	}
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Counts is what a server has counted since it began.
type Counts struct {
	Accepted   uint64          // hellos that the registry took
	Refused    map[Code]uint64 // hellos that were refused, by cause
	Unanswered uint64          // answers that could not be sent
}

// Server answers hellos over NATS. It is safe for use by many goroutines.
type Server struct {
	registry *Registry
	plans    Plans
	cfg      ServerConfig
	sub      *nats.Subscription
	inbox    chan *nats.Msg
	done     chan struct{}
	workers  sync.WaitGroup
	closing  sync.Once

	accepted, unanswered atomic.Uint64

	mu      sync.Mutex // guards everything below
	refused map[Code]uint64
	replies map[holds][]byte // encoded replies
	kept    int              // bytes of replies
	current uint64           // version that the replies lead to
}

// holds is what a reply depends on: the version of the plan set that a device holds, and the mechanisms that it doesn't know.
type holds struct {
	version uint64
	lacks   string // separated by spaces
}

// lacking is which mechanisms of those that not every device knows the device has not named.
func lacking(h *quadratv1.Hello) string {
	return strings.Join(slices.DeleteFunc(mechanisms.Announced(), func(name string) bool {
		return slices.Contains(h.GetMechanisms(), name)
	}), " ")
}

// followed are the plans that ask for none of the mechanisms that a device lacks.
func (h holds) followed(plans []*quadratv1.DevicePlan) []*quadratv1.DevicePlan {
	lacks := strings.Fields(h.lacks)
	strange := func(s *quadratv1.StatisticPlan) bool { return slices.Contains(lacks, s.GetMechanism()) }
	return slices.DeleteFunc(slices.Clone(plans), func(p *quadratv1.DevicePlan) bool { return slices.ContainsFunc(p.GetStatistics(), strange) })
}

// NewServer makes a server that is not yet heard on NATS.
func NewServer(r *Registry, plans Plans, cfg ServerConfig) *Server {
	return &Server{
		registry: r, plans: plans, cfg: cfg.withDefaults(), done: make(chan struct{}),
		refused: map[Code]uint64{}, replies: map[holds][]byte{},
	}
}

// Start subscribes; when it returns without an error, hellos are answered. Call it once.
func (s *Server) Start(conn *nats.Conn) error {
	s.inbox = make(chan *nats.Msg, s.cfg.Waiting)
	sub, err := conn.ChanQueueSubscribe(s.cfg.Subject, s.cfg.Group, s.inbox)
	if err != nil {
		return fmt.Errorf("fleet server: %w", err)
	}
	s.sub = sub
	for range s.cfg.Workers {
		s.workers.Go(s.work)
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("fleet server: %w", errors.Join(err, s.Close()))
	}
	return nil
}

// Close stops listening and waits for the hellos that are being handled. It may be called again.
func (s *Server) Close() error {
	var err error
	s.closing.Do(func() {
		if s.sub != nil {
			err = s.sub.Unsubscribe()
		}
		close(s.done)
	})
	s.workers.Wait()
	return err
}

func (s *Server) work() {
	for {
		select {
		case <-s.done:
			return
		case m := <-s.inbox:
			if err := m.Respond(s.Answer(m.Subject, m.Data)); err != nil {
				s.unanswered.Add(1)
				s.cfg.Log.Debug("hello not answered", "error", err)
			}
		}
	}
}

// Counts is a snapshot of the counters.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := Counts{Accepted: s.accepted.Load(), Unanswered: s.unanswered.Load(), Refused: make(map[Code]uint64, len(s.refused))}
	maps.Copy(c.Refused, s.refused)
	return c
}

// Answer takes one hello that came on a subject and returns the encoded HelloReply. It never fails: what is wrong
// stands in the reply.
func (s *Server) Answer(subject string, body []byte) []byte {
	now := s.cfg.Clock.Now()
	h, err := decodeHello(body)
	var doubt Doubt
	if err == nil {
		doubt, err = s.registry.Announce(lastToken(subject), h, now)
	}
	if doubt != "" {
		s.cfg.Log.Warn("doubtful device", "device", h.GetDevice(), "why", string(doubt))
		s.cfg.Doubtful(doubt, subject, body)
	}
	var reply []byte
	if err != nil {
		reply = s.refuse(err)
	} else {
		s.accepted.Add(1)
		reply = s.reply(holds{version: h.GetPlanSetVersion(), lacks: lacking(h)})
	}
	out := make([]byte, 0, len(reply)+11)
	out = append(out, reply...)
	out = protowire.AppendTag(out, 2, protowire.VarintType) // server_time_ms
	return protowire.AppendVarint(out, uint64(now.UnixMilli()))
}

func decodeHello(body []byte) (*quadratv1.Hello, error) {
	if len(body) > helloMost {
		return nil, &Error{Code: Size, Detail: "a hello is longer than 65536 bytes"}
	}
	h := &quadratv1.Hello{}
	if proto.Unmarshal(body, h) != nil {
		return nil, &Error{Code: Malformed, Detail: "the body is no hello"}
	}
	return h, nil
}

// lastToken is who said a hello: what stands behind the last dot of its subject.
func lastToken(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }

func (s *Server) refuse(err error) []byte {
	code := Malformed
	if e, ok := errors.AsType[*Error](err); ok {
		code = e.Code
	}
	s.mu.Lock()
	s.refused[code]++
	s.mu.Unlock()
	return encodeReply(&quadratv1.HelloReply{Error: err.Error()})
}

// reply is the encoded reply, but for the time, to a device that holds so much. It is encoded once for each. A device is told no
// plan that asks for a mechanism that it doesn't know; the planner will make one that it does.
func (s *Server) reply(held holds) []byte {
	now := s.plans.Version(held.version)
	s.mu.Lock()
	defer s.mu.Unlock()
	if b, ok := s.replies[held]; ok && now == s.current {
		return b
	}
	plans, current, live := s.plans.Since(held.version)
	if current != s.current || s.kept > repliesBytesMost {
		clear(s.replies)
		s.current, s.kept = current, 0
	}
	b := encodeReply(held.answer(plans, current, live))
	s.replies[held] = b
	s.kept += len(b)
	return b
}

// answer is a reply of those plans that a device lacks, which come by version. One that lacks more than a reply carries is
// told of the first ones, as if the plan set ended there; of kappas that it will learn of later it is not told that they live.
func (h holds) answer(plans []*quadratv1.DevicePlan, current uint64, live []string) *quadratv1.HelloReply {
	bytes, told := 0, len(plans)
	for i, p := range plans {
		if bytes += proto.Size(p); bytes > replyBytesMost && i > 0 && p.GetPlanSetVersion() > plans[i-1].GetPlanSetVersion() {
			told = i
			break
		}
	}
	if told == len(plans) {
		return &quadratv1.HelloReply{PlanSetVersion: current, Plans: h.followed(plans), Live: live}
	}
	later := map[string]bool{}
	for _, p := range plans[told:] {
		later[p.GetRef()] = true
	}
	for _, p := range plans[:told] {
		delete(later, p.GetRef())
	}
	return &quadratv1.HelloReply{
		PlanSetVersion: plans[told-1].GetPlanSetVersion(), Plans: h.followed(plans[:told]), More: true,
		Live: slices.DeleteFunc(slices.Clone(live), func(ref string) bool { return later[ref] }),
	}
}

// encodeReply encodes a message that can't fail to be encoded: its texts are ours, or were checked to be UTF-8.
func encodeReply(m *quadratv1.HelloReply) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		b = protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "fleet: the answer can't be encoded")
	}
	return b
}
