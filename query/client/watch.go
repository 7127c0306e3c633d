package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	// eventBytesMost bounds one event.
	eventBytesMost = 1 << 20
	// The waits between two tries to connect.
	backoffLeast = 250 * time.Millisecond
	backoffMost  = 8 * time.Second
)

// handlerError carries an error of the caller's handler through the loop that would try again.
type handlerError struct{ err error }

func (e *handlerError) Error() string { return e.err.Error() }
func (e *handlerError) Unwrap() error { return e.err }

// Watch follows a kappa's results and calls handle with each: from the windows at or after since, or from the newest
// one for a zero time. When the connection breaks it comes back and goes on where it was. It ends with handle's first
// error, with ctx's error, or with an *Error when the server refuses, as it does once the kappa is deleted.
func (c *Client) Watch(ctx context.Context, ref string, since time.Time, handle func(*quadratv1.Result) error) error {
	f := &feed{c: c, at: c.at(Span{Since: since}.values(), "kappa", ref), handle: handle}
	wait := backoffLeast
	for {
		got, err := f.once(ctx)
		var refused *Error
		var own *handlerError
		switch {
		case errors.As(err, &own):
			return own.err
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &refused) && refused.HTTPStatus < http.StatusInternalServerError:
			return refused
		case got:
			wait = backoffLeast
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, backoffMost)
	}
}

// WatchQuery asks a question about stored reports and calls handle with the early answers, and at last with the exact one, which ends it.
// It ends before with handle's first error, with ctx's error, or with an *Error when the server refuses.
func (c *Client) WatchQuery(ctx context.Context, question string, handle func(*quadratv1.QueryResponse) error) error {
	body, err := protojson.Marshal(&quadratv1.QueryRequest{Script: question})
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	reply, err := c.do(ctx, http.MethodPost, c.at(nil, "query"), body, http.Header{"Accept": {"text/event-stream"}})
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	lines := bufio.NewReader(io.LimitReader(reply.Body, answerBytesMost))
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return fmt.Errorf("events: the answer broke off: %w", err)
		}
		data, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		answer := &quadratv1.QueryResponse{}
		if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(data, answer); err != nil {
			return fmt.Errorf("event: %w", err)
		}
		if err := handle(answer); err != nil || !answer.GetEarly() {
			return err
		}
	}
}

// pause waits for about d, between half of it and the whole.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d/2+1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// feed is a stream of events over as many connections as it takes.
type feed struct {
	c      *Client
	at     string
	handle func(*quadratv1.Result) error
	last   string // id of the last event that was handled
}

// once reads one connection to its end and tells whether it gave any event.
func (f *feed) once(ctx context.Context) (got bool, err error) {
	header := http.Header{"Accept": {"text/event-stream"}}
	if f.last != "" {
		header.Set("Last-Event-ID", f.last)
	}
	reply, err := f.c.do(ctx, http.MethodGet, f.at, nil, header)
	if err != nil {
		return false, err
	}
	defer reply.Body.Close()
	lines := bufio.NewScanner(reply.Body)
	lines.Buffer(nil, eventBytesMost)
	var id, event string
	var data []string
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			if event == "result" && len(data) > 0 {
				if err := f.take(id, strings.Join(data, "\n")); err != nil {
					return got, err
				}
				got = true
			}
			id, event, data = "", "", nil
		case name == "id":
			id = value
		case name == "event":
			event = value
		case name == "data":
			data = append(data, value)
		}
	}
	if err := lines.Err(); err != nil {
		return got, fmt.Errorf("events: %w", err)
	}
	return got, io.ErrUnexpectedEOF
}

func (f *feed) take(id, data string) error {
	r := &quadratv1.Result{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(data), r); err != nil {
		return &handlerError{fmt.Errorf("event: %w", err)}
	}
	if err := f.handle(r); err != nil {
		return &handlerError{err}
	}
	f.last = id
	return nil
}
