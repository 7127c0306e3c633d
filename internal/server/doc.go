// Package server puts the rooms together: broker, fleet, intake, engine, storage and service, in one process, with one
// clock. It is the only place besides cmd that knows them all; it decides nothing about sampling or privacy, reads no
// flags, and never asks whether its clock is real.
//
//	s, err := server.Start(ctx, server.Config{Data: dir, HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0", NATSListen: "127.0.0.1:0"})
//	if err != nil { … }
//	defer s.Close()
//	fmt.Println(s.Addresses().HTTP)
package server
