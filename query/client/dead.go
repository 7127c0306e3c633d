package client

import (
	"context"
	"net/http"
	"strconv"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const dead = "dead"

// Dead lists dead letters, oldest first.
func (c *Client) Dead(ctx context.Context, r *quadratv1.ListDeadRequest) (*quadratv1.ListDeadResponse, error) {
	v := Span{Limit: r.GetLimit()}.values()
	if r.GetCause() != "" {
		v.Set("cause", r.GetCause())
	}
	if r.GetAfter() > 0 {
		v.Set("after", strconv.FormatUint(r.GetAfter(), 10))
	}
	out := &quadratv1.ListDeadResponse{}
	return out, c.call(ctx, http.MethodGet, c.at(v, dead), nil, out)
}

// DeadLetter is one dead letter.
func (c *Client) DeadLetter(ctx context.Context, sequence uint64) (*quadratv1.DeadLetterView, error) {
	out := &quadratv1.DeadLetterView{}
	return out, c.call(ctx, http.MethodGet, c.at(nil, dead, strconv.FormatUint(sequence, 10)), nil, out)
}

// ReplayDead lets dead letters in again; what was counted already is not counted twice.
func (c *Client) ReplayDead(ctx context.Context, r *quadratv1.ReplayDeadRequest) (*quadratv1.ReplayDeadResponse, error) {
	out := &quadratv1.ReplayDeadResponse{}
	return out, c.call(ctx, http.MethodPost, c.at(nil, dead, "replay"), r, out)
}

// PurgeDead forgets dead letters and tells how many.
func (c *Client) PurgeDead(ctx context.Context, r *quadratv1.PurgeDeadRequest) (uint64, error) {
	v := Span{}.values()
	if r.GetCause() != "" {
		v.Set("cause", r.GetCause())
	}
	if r.GetUntil() > 0 {
		v.Set("until", strconv.FormatUint(r.GetUntil(), 10))
	}
	out := &quadratv1.PurgeDeadResponse{}
	err := c.call(ctx, http.MethodDelete, c.at(v, dead), nil, out)
	return out.GetPurged(), err
}
