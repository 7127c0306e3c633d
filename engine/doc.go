// Package engine turns stored reports into estimates. It reads the stream REPORTS in order, decodes each message into
// columns, counts every device once in each window, keeps the sufficient statistics of each (kappa, window, statistic,
// stratum, cell), closes windows by the watermark, and publishes results with their intervals. Reports and results go to
// a Sink; window state and stream position form one checkpoint.
//
// What the engine does is a function of the stream, of the frames and of the plans, not of when it was running: the
// clock speaks through marks, small messages that the engine puts into REPORTS and obeys when it reads them in their
// place. So a replay after a crash closes the same windows with the same reports.
//
// It must never see a reading or an identity, never let a bad message stop it, and never import query or storage.
//
//	e, err := engine.New(engine.Config{JetStream: js, Frames: registry, Sink: sink, Folder: dir})
//	for _, record := range records { err = e.Apply(record) } // before Run
//	err = e.Run(ctx)
package engine
