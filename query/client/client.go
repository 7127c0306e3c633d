// Package client talks to a Quadrat server over its REST API; one URL is all it needs. The command line is built on it,
// and so can be any Go program. It keeps no state but the server's address and token, and is safe for use by many
// goroutines.
//
//	c, err := client.New("http://127.0.0.1:8080", client.Options{})
//	put, err := c.Put(ctx, script, nil)
//	err = c.Watch(ctx, put.GetRef(), time.Time{}, func(r *quadratv1.Result) error { … })
package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// answerBytesMost bounds an answer that is read whole.
const answerBytesMost = 512 << 20

// Options are what a client may need beyond the server's address.
type Options struct {
	// Token is the bearer token; empty for none.
	Token string
	// HTTP makes the requests; nil for one of its own without a time limit, which contexts give.
	HTTP *http.Client
}

// Client calls one server.
type Client struct {
	server *url.URL
	token  string
	http   *http.Client
}

// New makes a client of the server at a URL like http://127.0.0.1:8080. It calls nobody yet.
func New(server string, o Options) (*Client, error) {
	u, err := url.Parse(strings.TrimSuffix(server, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("server %q: a URL like http://127.0.0.1:8080 is expected", server)
	}
	c := &Client{server: u, token: o.Token, http: o.HTTP}
	if c.http == nil {
		c.http = &http.Client{}
	}
	return c, nil
}

// Put deploys a script with values for its parameters. Created tells whether it was there already.
func (c *Client) Put(ctx context.Context, script string, params map[string]float64) (*quadratv1.PutKappaResponse, error) {
	out := &quadratv1.PutKappaResponse{}
	return out, c.call(ctx, http.MethodPut, c.at(nil, "kappa"), &quadratv1.PutKappaRequest{Script: script, Params: params}, out)
}

// Explain plans a script and deploys nothing.
func (c *Client) Explain(ctx context.Context, script string, params map[string]float64) (*quadratv1.Plan, error) {
	out := &quadratv1.ExplainResponse{}
	err := c.call(ctx, http.MethodPost, c.at(nil, "explain"), &quadratv1.ExplainRequest{Script: script, Params: params}, out)
	return out.GetPlan(), err
}

// Query answers a question about stored reports.
func (c *Client) Query(ctx context.Context, question string) (*quadratv1.QueryResponse, error) {
	out := &quadratv1.QueryResponse{}
	err := c.call(ctx, http.MethodPost, c.at(nil, "query"), &quadratv1.QueryRequest{Script: question}, out)
	return out, err
}

// List is what is deployed, oldest first.
func (c *Client) List(ctx context.Context) ([]*quadratv1.Kappa, error) {
	out := &quadratv1.ListKappasResponse{}
	err := c.call(ctx, http.MethodGet, c.at(nil, "kappa"), nil, out)
	return out.GetKappas(), err
}

// Plan is script, plan and state of a kappa, by reference or name.
func (c *Client) Plan(ctx context.Context, ref string) (*quadratv1.GetPlanResponse, error) {
	out := &quadratv1.GetPlanResponse{}
	return out, c.call(ctx, http.MethodGet, c.at(nil, "kappa", ref, "plan"), nil, out)
}

// Span says which windows are asked for; zero values leave a side open and the limit to the server.
type Span struct {
	Since, Until time.Time // windows that start in [Since, Until)
	Limit        uint32    // most results
}

func (s Span) values() url.Values {
	v := url.Values{}
	if !s.Since.IsZero() {
		v.Set("since", s.Since.UTC().Format(time.RFC3339Nano))
	}
	if !s.Until.IsZero() {
		v.Set("until", s.Until.UTC().Format(time.RFC3339Nano))
	}
	if s.Limit > 0 {
		v.Set("limit", strconv.FormatUint(uint64(s.Limit), 10))
	}
	return v
}

// Results is a kappa's results, oldest window first; those of the newest window for the zero Span.
func (c *Client) Results(ctx context.Context, ref string, span Span) ([]*quadratv1.Result, error) {
	out := &quadratv1.GetResultsResponse{}
	err := c.call(ctx, http.MethodGet, c.at(span.values(), "kappa", ref), nil, out)
	return out.GetResults(), err
}

// Update sends to a kappa's inport; what changes is in force from the next window on.
func (c *Client) Update(ctx context.Context, r *quadratv1.UpdateKappaRequest) (*quadratv1.UpdateKappaResponse, error) {
	out := &quadratv1.UpdateKappaResponse{}
	body := &quadratv1.UpdateKappaRequest{Paused: r.Paused, Params: r.GetParams()}
	return out, c.call(ctx, http.MethodPost, c.at(nil, "kappa", r.GetRef()), body, out)
}

// Delete stops and deletes a kappa; its results stay until retention ends.
func (c *Client) Delete(ctx context.Context, ref string) error {
	return c.call(ctx, http.MethodDelete, c.at(nil, "kappa", ref), nil, nil)
}

// Devices lists the fleet by identity. Where has the script's predicate syntax; empty for all.
func (c *Client) Devices(ctx context.Context, r *quadratv1.ListDevicesRequest) (*quadratv1.ListDevicesResponse, error) {
	v := Span{Limit: r.GetLimit()}.values()
	if r.GetWhere() != "" {
		v.Set("where", r.GetWhere())
	}
	if r.GetAfter() != "" {
		v.Set("after", r.GetAfter())
	}
	out := &quadratv1.ListDevicesResponse{}
	return out, c.call(ctx, http.MethodGet, c.at(v, "devices"), nil, out)
}

// Device is one device.
func (c *Client) Device(ctx context.Context, id string) (*quadratv1.Device, error) {
	out := &quadratv1.Device{}
	return out, c.call(ctx, http.MethodGet, c.at(nil, "devices", id), nil, out)
}

// Export is the stored "reports", "results" or "strata" of a kappa as one Arrow IPC stream, which the caller closes. A stream
// that breaks off ends with an error, never with io.EOF.
func (c *Client) Export(ctx context.Context, ref, what string, span Span) (io.ReadCloser, error) {
	v := span.values()
	v.Set("what", what)
	reply, err := c.do(ctx, http.MethodGet, c.at(v, "kappa", ref, "export"), nil, nil)
	if err != nil {
		return nil, err
	}
	return reply.Body, nil
}

// at is the URL of a path under the server.
func (c *Client) at(query url.Values, path ...string) string {
	for i, p := range path {
		path[i] = url.PathEscape(p)
	}
	u := c.server.JoinPath(path...)
	u.RawQuery = query.Encode()
	return u.String()
}

// call makes one request; in is nil for no body, out is nil when none is expected.
func (c *Client) call(ctx context.Context, method, at string, in, out proto.Message) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = protojson.Marshal(in); err != nil {
			return fmt.Errorf("request: %w", err)
		}
	}
	reply, err := c.do(ctx, method, at, body, nil)
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(reply.Body, answerBytesMost))
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if out == nil {
		return nil
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, out); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// do makes one request and gives its answer, or an *Error when the server refused.
func (c *Client) do(ctx context.Context, method, at string, body []byte, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, at, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	maps.Copy(req.Header, header)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	reply, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("server %s: %w", c.server, err)
	}
	if reply.StatusCode < 200 || reply.StatusCode > 299 {
		defer reply.Body.Close()
		return nil, refusal(reply)
	}
	return reply, nil
}
