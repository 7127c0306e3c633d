package main

// privacyCmd is `quadrat privacy`: what an auditor needs.
type privacyCmd struct {
	Verify privacyVerifyCmd `cmd:"" help:"Prove, sample and attack every mechanism, and run the whole system once."`
	Sample privacySampleCmd `cmd:"" help:"Print reports of one mechanism."`
	Curve  privacyCurveCmd  `cmd:"" help:"Show what privacy costs: error against epsilon."`
}
