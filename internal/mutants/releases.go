package main

// releases are bugs in what a gateway gathers, charges and hides.
func releases() []mutant {
	const (
		noise   = "edge/gateway/noise.go"
		release = "edge/gateway/release.go"
		edge    = "edge/gateway"
	)
	return []mutant{
		{"gateway: sums without noise", distribution, noise, "\tvalue, err := total.Result()\n\treturn []int64{value}, err", "\t_, err = total.Result()\n\tvalue := int64(0)\n\tfor _, x := range contributions {\n\t\tvalue += x\n\t}\n\treturn []int64{value}, err", edge, "TestNoiseIsTheLaws"},
		{"gateway: noise of half the scale", distribution, noise, "Lower: 0, Upper: span, Noise: n,", "Lower: -span / 2, Upper: (span + 1) / 2, Noise: n,", edge, "TestSensitivity|TestNoiseIsTheLaws"},
		{"gateway: categories with L1 = 1", distribution, noise, "const changed = 2 ", "const changed = 1 ", edge, "TestSensitivity"},
		{"gateway: released before it is charged", law, release, "\tif err := c.ledger.Reserve(q.Plan.Charge(window)); err != nil {\n\t\treturn r, agent.Refusal(err), err\n\t}\n\tfor i", "\tdefer func() { _ = c.ledger.Reserve(q.Plan.Charge(window)) }()\n\tfor i", edge, "TestSensitivity"},
		{"gateway: what the ledger refused is released", law, release, "return r, agent.Refusal(err), err", "_ = agent.Refusal(err)", edge, "TestSilence"},
		{"gateway: a unit's number isn't clipped", law, "edge/agent/unit.go", "return int64(max(s.bounds.Lo, min(s.bounds.Hi, x)) - s.bounds.Lo), true", "return int64(x - s.bounds.Lo), true", "edge/agent", "TestContributions"},
		{"gateway: a window is released again", law, "edge/agent/unit.go", "h != nil && o == Reported {", "h != nil && o != Reported {", "edge/agent", "TestUnitsAreAskedTogether"},
		{"gateway: each sensor of a unit is a unit", law, release, "if x, ok := u.Contribution(&due.question, window); ok {", "for range 2 {\n\t\t\tx, ok := u.Contribution(&due.question, window)\n\t\t\tif !ok {\n\t\t\t\tbreak\n\t\t\t}", edge, "TestSensitivity|TestReleaseIsThePages"},
		{"gateway: a unit speaks beside its gateway", law, "edge/agent/report.go", "if outcome == Reported && r.plan.wire.Model == Gateway && a.config.Gateway != \"\" {", "if outcome == Reported && r.plan.wire.Model == Gateway && a.config.Gateway == a.config.Device {", "edge/agent", "TestUnitsAreAskedTogether"},
		{"gateway: any token opens any sensor", law, "edge/gateway/sensors.go", "return x.token == nil || subtle.ConstantTimeCompare(x.token[:], token[:]) == 1", "return x.token == nil || subtle.ConstantTimeCompare(x.token[:], token[:]) <= 1", edge, "TestReadingsAreRefused"},
		{"gateway: a token that others can read", fault, "edge/gateway/sensors.go", "if info.Mode().Perm()&0o077 != 0 {", "if info.Mode().Perm()&0o002 != 0 {", edge, "TestTokensMustBeSecret"},
		{"gateway: counts a unit that isn't in the frame", law, release, "case u.refused, outcome == agent.Reported && q.Plan.Charge(window).WindowStart.UnixMilli() < u.sinceMs:", "case u.refused && outcome != agent.Reported:", edge, "TestSilence"},
		{"gateway: a part names a unit that had a reading, not the least", law, release, "\t\tif x, ok := u.Contribution(&due.question, window); ok {\n", "\t\tif x, ok := u.Contribution(&due.question, window); ok {\n\t\t\tcells[i].device = u.Device()\n", edge, "TestReleaseIsThePages"},
		{"gateway: what was sent stands in the answer", law, "edge/gateway/hearing.go", "return none, nil, faultValue", "return none, nil, fault(string(faultValue) + s.number)", edge, "TestReadingsAreRefused"},
	}
}
