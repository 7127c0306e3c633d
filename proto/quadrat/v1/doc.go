// Package quadratv1 is the generated code of the wire and the API: reports, plans, the fleet, and the KappaService with
// its REST mapping. The .proto files beside it are the reference; every field there states its unit and range. Devices
// do not link this package (internal/wire is their codec); nothing here holds a raw reading.
//
//	client := quadratv1.NewKappaServiceClient(conn)
//	put, err := client.PutKappa(ctx, &quadratv1.PutKappaRequest{Script: script})
package quadratv1
