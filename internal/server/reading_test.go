package server

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/query/flight"
	"github.com/quadrat-dev/quadrat/query/service"
)

// TestNoPlaceToRead: when all places for calls that read stored rows are taken, exports, questions, old results and readers of tables are
// refused, with the code that means "come again", before they read anything; a place that is given back twice is one.
func TestNoPlaceToRead(t *testing.T) {
	const places = 2
	d := desks{account: memory.NewAccount(places*readingBytes + readingBytes/2)}
	var leave func()
	for range places {
		var err error
		if leave, err = d.sit(); err != nil {
			t.Fatal(err)
		}
	}
	scan := func() error {
		for _, err := range (tables{desks: d}).Scan(t.Context(), flight.Span{}) {
			return err
		}
		return nil
	}
	questions := func() error {
		_, _, err := stored{desks: d}.ReportFiles(t.Context(), "k22222", time.Time{}, time.Time{})
		return err
	}
	strata := func() error {
		for _, err := range (stored{desks: d}).Strata(t.Context(), "k22222", time.Time{}, time.Time{}) {
			return err
		}
		return nil
	}
	results := func() error {
		_, err := archive{desks: d}.Results(t.Context(), service.Span{})
		return err
	}
	export := func() error { return archive{desks: d}.Export(t.Context(), io.Discard, "reports", service.Span{}) }
	for name, read := range map[string]func() error{"tables": scan, "questions": questions, "strata of questions": strata, "results": results, "exports": export} {
		if refused, ok := errors.AsType[*service.Error](read()); !ok || refused.Code != service.TooMany {
			t.Errorf("%s without a place: %v", name, refused)
		}
	}
	leave()
	leave()
	if used := d.account.Used(); used != readingBytes*(places-1) {
		t.Errorf("%d bytes are taken", used)
	}
	if _, err := d.sit(); err != nil {
		t.Errorf("a place that was given back: %v", err)
	}
}
