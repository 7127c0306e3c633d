package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// JSON prints one object for each result and the summary as the last line.
type JSON struct{ out io.Writer }

// NewJSON prints to out.
func NewJSON(out io.Writer) JSON { return JSON{out: out} }

// Joining prints nothing.
func (JSON) Joining(int, int) {}

// Begin prints nothing.
func (JSON) Begin(Intro) error { return nil }

// Window prints each result with the fields truth and covered.
func (v JSON) Window(rows []Row) error {
	for _, r := range rows {
		text, err := object(r.Result)
		if err != nil {
			return err
		}
		truth, err := json.Marshal(r.Truth)
		if err != nil {
			return err
		}
		covered := ""
		if !shaped(r.Result) { // what has no interval by its nature covers nothing, nor fails to
			covered = fmt.Sprintf(",\"covered\":%t", r.Covered)
		}
		if _, err := fmt.Fprintf(v.out, "%s,\"truth\":%s%s}\n", text[:len(text)-1], truth, covered); err != nil {
			return err
		}
	}
	return nil
}

// End prints the summary.
func (v JSON) End(s Summary) error {
	return json.NewEncoder(v.out).Encode(map[string]Summary{"summary": s})
}

// object writes a result as the API does; compact, because protojson adds blanks at random.
func object(r *quadratv1.Result) ([]byte, error) {
	raw, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(r)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = json.Compact(&out, raw)
	return out.Bytes(), err
}
