// Package service is where people meet Quadrat: it deploys scripts, keeps their plans, and serves their results over
// gRPC (KappaService) and REST (the same calls through grpc-gateway, and streams of events, Arrow and CSV).
//
// A script comes in at PutKappa, is planned over the fleet, becomes a KappaRecord on disk, goes to the engine and out
// to all devices in one broadcast. From then on the service watches the frame and draws a new revision when the plan no
// longer fits. Results come back over the stream RESULTS into a bounded index and to whoever follows. The package never
// computes an estimate, never sees a report, and never lets a slow reader hold up anything but itself.
//
//	s, err := service.New(ctx, service.Config{Planner: planner, Engine: engine, …})
//	go s.Run(ctx)
//	http.Serve(listener, s.Handler())
package service
