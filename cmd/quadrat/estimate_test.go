package main

import (
	"strings"
	"testing"
)

func TestEstimatePrints(t *testing.T) {
	common := []string{
		"estimate", "--data", "../../survey/testdata/external/apistrat.csv", "--stratum", "stype", "--weight", "pw", "--fpc", "fpc",
		"--stat", "mean(api00)", "--stat", "total(enroll)",
	}
	out := string(must(t, t.Context(), common...))
	for _, want := range []string{
		"mean(api00)    662.2874 ± 9.4089    643.7322   680.8425   197  1.204", "total(enroll)  3,687,178 ± 114,642  3,461,095  3,913,260  197",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nlacks %s", out, want)
		}
	}
	out = string(must(t, t.Context(), append(common, "--format", "json")...))
	if want := `[{"statistic":"mean(api00)","by":{},"value":662.287363159`; !strings.HasPrefix(out, want) {
		t.Errorf("%s\ndoesn't begin with %s", out, want)
	}
	for text, want := range map[string]struct {
		args []string
		code int
	}{
		"--stat": {[]string{"--stat", "median(x)"}, exitUsage}, "no such column": {[]string{"--stat", "mean(nothing)"}, exitFailed},
		"--bounds": {[]string{"--bounds", "3", "--stat", "mean(api00)"}, exitUsage},
	} {
		var said strings.Builder
		code := run(t.Context(), append(common[:9:9], want.args...), &terminal{in: strings.NewReader(""), out: &said, errs: &said})
		if code != want.code || !strings.Contains(said.String(), text) {
			t.Errorf("%v exits with %d and says %s", want.args, code, said.String())
		}
	}
}
