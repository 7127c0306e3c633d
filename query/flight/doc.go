// Package flight speaks Arrow Flight SQL, so that ADBC, JDBC and what stands on them (DBeaver, Grafana) read stored results, reports
// and strata as tables, and put questions about stored reports. It is read only: whatever would change something is refused.
//
// It stands beside the query service on the same gRPC server, whose interceptors check the token, recover panics and turn errors into
// statuses. Rows come through [Rows] from whoever keeps them, record by record, and go out in messages of bounded size; nothing is
// kept between two calls, since tickets and handles of prepared statements hold the statement itself, which is checked anew. It
// never sees a reading: what is stored has been randomised on devices.
//
//	server, err := flight.New(flight.Config{Kappas: svc, Answers: svc, Rows: rows})
//	server.Register(grpcServer)
package flight
