package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// devicesCmd is `quadrat devices`.
type devicesCmd struct {
	remote

	ID    string `arg:"" optional:"" help:"Identity of one device; all of them without it."`
	Where string `help:"Condition on attributes, in the script's syntax."`
	Limit uint32 `help:"Most devices; 0 leaves it to the server." default:"0"`
	After string `help:"Begin after this identity."`
}

// Help shows an example.
func (*devicesCmd) Help() string {
	return `Example:

    quadrat devices --where "region = 'asia' AND floor > 2" --limit 20
    quadrat devices balcony-7 --format json`
}

// Run lists devices.
func (c *devicesCmd) Run(ctx context.Context, t *terminal) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if c.ID != "" {
		device, err := api.Device(ctx, c.ID)
		if err != nil {
			return err
		}
		if c.json() {
			return t.printJSON(device)
		}
		return t.printDevices([]*quadratv1.Device{device})
	}
	reply, err := api.Devices(ctx, &quadratv1.ListDevicesRequest{Where: c.Where, Limit: c.Limit, After: c.After})
	if err != nil {
		f := scriptFile{File: "--where"}
		return f.explainFault(err, c.Where)
	}
	if c.json() {
		return t.printJSON(reply)
	}
	if err := t.printDevices(reply.GetDevices()); err != nil {
		return err
	}
	if reply.GetNext() != "" {
		fmt.Fprintf(t.out, "%d of %d; more with --after %s\n", len(reply.GetDevices()), reply.GetTotal(), reply.GetNext())
	}
	return nil
}

func (t *terminal) printDevices(devices []*quadratv1.Device) error {
	return t.table(func(w io.Writer) {
		fmt.Fprintln(w, "DEVICE\tATTRIBUTES\tCAPABILITIES\tLAST SEEN\tPLANS")
		for _, d := range devices {
			names := make([]string, 0, len(d.GetCapabilities()))
			for _, capability := range d.GetCapabilities() {
				names = append(names, capability.GetName())
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\n", d.GetId(), cellName(d.GetAttributes()), strings.Join(names, " "),
				d.GetLastSeen().AsTime().Format(time.RFC3339), d.GetPlanSetVersion())
		}
	})
}
