package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/query/client"
)

// formatJSON is the value of --format that asks for JSON.
const formatJSON = "json"

// remote is what every client verb takes.
type remote struct {
	Server    string `help:"URL of the server." default:"http://127.0.0.1:8080" env:"QUADRAT_SERVER" placeholder:"URL"`
	TokenFile string `help:"File with the bearer token." env:"QUADRAT_TOKEN_FILE" type:"path" placeholder:"FILE"`
	Format    string `help:"How to print: table or json." enum:"table,json" default:"table"`
}

// client makes the client that a verb calls the server with.
func (r *remote) client() (*client.Client, error) {
	var token string
	if r.TokenFile != "" {
		var err error
		if token, err = server.ReadToken(r.TokenFile); err != nil {
			return nil, err
		}
	}
	c, err := client.New(r.Server, client.Options{Token: token})
	if err != nil {
		return nil, &usageError{"--server: " + err.Error()}
	}
	return c, nil
}

// json tells whether JSON is wanted.
func (r *remote) json() bool { return r.Format == formatJSON }

// printJSON writes a message as one line of JSON, in the API's form.
func (t *terminal) printJSON(m proto.Message) error {
	raw, err := protojson.MarshalOptions{UseProtoNames: true, EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return fmt.Errorf("json: %w", err)
	}
	line.WriteByte('\n')
	_, err = t.out.Write(line.Bytes())
	return err
}

// table writes aligned columns; cells in a line are separated by tabs.
func (t *terminal) table(fill func(w io.Writer)) error {
	w := tabwriter.NewWriter(t.out, 0, 4, 2, ' ', 0)
	fill(w)
	return w.Flush()
}
