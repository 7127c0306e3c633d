// Package bench measures Quadrat beside a reference of the same run: each figure comes with the goal that it is held
// against, what it is compared with, and the ratio of the two, since figures of a busy machine mean little and ratios
// mean something. It is behind `quadrat bench`; nothing else imports it, and no test depends on a figure of it.
//
// It must never use another server than the ones that it starts itself, on loopback and free ports, in a folder of its
// own.
//
//	err := bench.Run(ctx, bench.Config{Dir: dir}, func(r bench.Row) error { return json.NewEncoder(os.Stdout).Encode(r) })
package bench
