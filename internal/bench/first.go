package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
)

const (
	firstWindows  = 3
	firstGoal     = 1 // second
	firstPatience = 5 * time.Minute
	firstScript   = `KAPPA bench AS
SELECT   mean(temperature)
FROM     sense.temperature
GROUP BY cooling_type
SAMPLE   ALL STRATIFIED BY region ROTATING
WINDOW   5s GRACE 1s
PRIVACY  LOCAL EPSILON 4 PER 1m BETWEEN 10 AND 40`
)

// firstRows measures a whole server with simulated devices in the same process: how long after the first window has
// closed (its end and its grace) a client that follows the results over HTTP has the estimate.
func firstRows(ctx context.Context, config Config) (out []Row, err error) {
	ctx, cancel := context.WithTimeout(ctx, firstPatience)
	defer cancel()
	const free = "127.0.0.1:0"
	s, err := server.Start(ctx, server.Config{
		Data: filepath.Join(config.Dir, "first"), HTTP: free, GRPC: free, NATSListen: free, Logger: config.Log,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	places, err := indoor.Places()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	fleet, err := simulate.Join(ctx, simulate.Config{
		NATS: s.Addresses().NATS, Places: simulate.Choose(places, config.Devices, 1, 1), Seed: 1, Windows: firstWindows, Logger: config.Log,
	})
	if err != nil {
		return nil, err
	}
	defer fleet.Close()
	joined := time.Since(began)
	api, err := client.New("http://"+s.Addresses().HTTP, client.Options{})
	if err != nil {
		return nil, err
	}
	began = time.Now()
	if _, err := api.Put(ctx, firstScript, nil); err != nil {
		return nil, err
	}
	planned := time.Since(began)
	inner, stop := context.WithCancel(ctx)
	defer stop()
	running := make(chan error, 1)
	go func() { running <- fleet.Run(inner) }()
	late, reports, err := follow(inner, api)
	stop()
	if ended := <-running; err == nil && ctx.Err() != nil {
		err = ended
	}
	if err != nil {
		return nil, err
	}
	return []Row{Row{
		Name: "first estimate", Goal: "< 1 s after the first window closes", Figure: late.Seconds(), Unit: "s",
		Note: fmt.Sprintf("%d simulated devices in the same process, joined in %.1f s, planned in %.2f s; %d reports in the window",
			config.Devices, joined.Seconds(), planned.Seconds(), reports),
	}.atMost(firstGoal)}, nil
}

// errFirst ends a watch that has what it wanted.
var errFirst = errors.New("first estimate")

// follow waits for the first result with reports, and tells how long after its window had closed it came.
func follow(ctx context.Context, api *client.Client) (late time.Duration, reports uint32, err error) {
	err = api.Watch(ctx, "bench", time.Time{}, func(r *quadratv1.Result) error {
		if r.GetReports() == 0 || r.GetValue() == 0 {
			return nil
		}
		reports = r.GetReports()
		late = time.Since(r.GetWindowEnd().AsTime().Add(time.Second))
		return errFirst
	})
	if errors.Is(err, errFirst) {
		err = nil
	}
	return late, reports, err
}
