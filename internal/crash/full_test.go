package crash_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/internal/server"
)

// The environment that makes the test's own program a server on a disk that fills up on demand.
const (
	envFull       = "QUADRAT_CRASH_FULL"        // its folder
	envFullMounts = "QUADRAT_CRASH_FULL_MOUNTS" // not empty: the folder is a small disk of its own, which the program mounts
)

const fullRefused = "refused"

// smallDisk is a disk that fills up and has room again.
type smallDisk struct {
	folder  string // of a disk of its own; empty where files may not grow instead
	ballast string
	limit   syscall.Rlimit
}

// fill takes all room: with a disk of its own there is no block left, ENOSPC; otherwise no file may grow beyond a page, EFBIG.
func (d *smallDisk) fill() error {
	if d.folder == "" {
		signal.Ignore(syscall.SIGXFSZ)
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &d.limit); err != nil {
			return err
		}
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 4096, Max: d.limit.Max})
	}
	file, err := os.Create(d.ballast)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	for size := 1 << 20; size > 0; size /= 4 {
		for err = nil; err == nil; {
			_, err = file.Write(make([]byte, size))
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}

func (d *smallDisk) makeRoom() error {
	if d.folder == "" {
		return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &d.limit)
	}
	return os.Remove(d.ballast)
}

// beFull is the program: a whole server whose disk does what lines on standard input say. It answers each line when that is done.
func beFull(folder string, mounts bool) int {
	d := &smallDisk{}
	if mounts {
		err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
		if err == nil {
			err = syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=64m")
		}
		if err != nil {
			fmt.Println(fullRefused, err)
			return 0
		}
		d.folder, d.ballast = folder, filepath.Join(folder, "ballast")
	}
	const free = "127.0.0.1:0"
	s, err := server.Start(context.Background(), server.Config{
		Data: filepath.Join(folder, "data"), HTTP: free, GRPC: free, NATSListen: free, CheckpointEvery: 20 * time.Millisecond, ReportsKeep: 24 * time.Hour,
	})
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(s.Addresses())
	}
	for lines := bufio.NewScanner(os.Stdin); err == nil && lines.Scan(); {
		switch lines.Text() {
		case "fill":
			err = d.fill()
		case "room":
			err = d.makeRoom()
		case "end":
			err = s.Close()
		}
		fmt.Println("done")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// cramped is such a program.
type cramped struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// cram starts a server on a small disk of its own, or, where no disk may be mounted, one whose files can be kept from growing. It gives where the
// server is reached, and the folder of its data as this process sees it.
func cram(t *testing.T) (d *cramped, at server.Addresses, data string) {
	t.Helper()
	for _, mounts := range []bool{true, false} {
		folder := t.TempDir()
		d = &cramped{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0])}
		d.cmd.Env, d.cmd.Stderr = append(os.Environ(), envFull+"="+folder), os.Stderr
		data = filepath.Join(folder, "data")
		if mounts {
			d.cmd.Env = append(d.cmd.Env, envFullMounts+"=yes")
			d.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		}
		out, err := d.cmd.StdoutPipe()
		must(t, err)
		d.in, err = d.cmd.StdinPipe()
		must(t, err)
		if err := d.cmd.Start(); err != nil {
			if mounts {
				t.Logf("no disk of its own: %v", err)
				continue
			}
			t.Fatal(err)
		}
		d.out = bufio.NewReader(out)
		line, err := d.out.ReadString('\n')
		must(t, err)
		if mounts && strings.HasPrefix(line, fullRefused) {
			t.Logf("no disk of its own: %s", line)
			must(t, d.cmd.Wait())
			continue
		}
		must(t, json.Unmarshal([]byte(line), &at))
		if mounts {
			data = fmt.Sprintf("/proc/%d/root%s", d.cmd.Process.Pid, data)
		}
		t.Logf("a disk of its own: %v", mounts)
		return d, at, data
	}
	return d, at, data
}

// say has something done.
func (d *cramped) say(what string) {
	d.t.Helper()
	_, err := io.WriteString(d.in, what+"\n")
	must(d.t, err)
	_, err = d.out.ReadString('\n')
	must(d.t, err)
}

// TestDiskFull fills the disk of a whole server, with its embedded broker, under load. Devices are told to come again, readiness says why, and
// once there is room all goes on without a restart: what was answered is stored once, and results are those of an undisturbed run.
func TestDiskFull(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 7))
	d, at, data := cram(t)
	s := &site{t: t, data: data, at: at, answered: map[string]bool{}, rig: &rig{t: t}}
	var err error
	s.conn, err = nats.Connect(at.NATS, nats.Timeout(patience), nats.MaxReconnects(-1))
	must(t, err)
	defer s.conn.Close()
	must(t, s.stream())
	plans := s.deploy(random)
	var refs []string
	for _, p := range plans {
		refs = append(refs, p.GetRef())
	}
	s.loadWhile(plans, random, func() {
		s.told(refs, time.Now())
		if code, body := s.ready(); code != http.StatusOK {
			t.Errorf("before the disk is full /readyz says %d %s", code, body)
		}
		d.say("fill")
		s.until("devices are told to come again", func() bool { return s.retries.Load() > 0 })
		s.until("/readyz tells of the disk", func() bool {
			code, body := s.ready()
			return code == http.StatusServiceUnavailable && strings.Contains(body, "disk of the streams is full")
		})
		d.say("room")
		s.told(refs, time.Now())
		s.until("/readyz says that all is well", func() bool { code, _ := s.ready(); return code == http.StatusOK })
	})
	s.settled()
	t.Logf("%d reports, told to come again %d times", len(s.answered), s.retries.Load())
	s.conn.Close()
	d.say("end")
	s.check(true)
	must(t, d.in.Close())
	must(t, d.cmd.Wait())
}

// ready is what /readyz says.
func (s *site) ready() (code int, body string) {
	s.t.Helper()
	reply, err := http.Get("http://" + s.at.HTTP + "/readyz")
	must(s.t, err)
	defer func() { _ = reply.Body.Close() }()
	text, err := io.ReadAll(reply.Body)
	must(s.t, err)
	return reply.StatusCode, string(text)
}
