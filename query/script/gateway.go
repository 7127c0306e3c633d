package script

// GatewayAttribute is the attribute that every unit behind a gateway has: the gateway's identity.
const GatewayAttribute = "gateway"

// checkGateway demands that a question to gateways draws gateways, whose sums can't be taken apart.
func checkGateway(s *Script) *Error {
	p, a := s.Privacy, s.Sample
	if p == nil || p.Model != Gateway || a == nil || a.Clustered.Text == "" || a.Clustered.Text == GatewayAttribute {
		return nil
	}
	return errorAt(a.Clustered.Pos, "write CLUSTERED BY gateway, or leave it out; STRATIFIED BY and GROUP BY take any attribute",
		"PRIVACY GATEWAY draws gateways, whose sums can't be taken apart, and here stands CLUSTERED BY %s", a.Clustered)
}
