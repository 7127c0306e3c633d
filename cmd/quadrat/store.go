package main

import (
	"time"

	"github.com/quadrat-dev/quadrat/storage"
)

// storeFlags are the flags of `quadrat serve` about what it stores.
type storeFlags struct {
	RetainReports period `help:"How long reports stay, e.g. 30d; 0 for ever." default:"0" env:"QUADRAT_RETAIN_REPORTS" placeholder:"PERIOD"`
	RetainResults period `help:"How long results stay; 0 for ever." default:"0" env:"QUADRAT_RETAIN_RESULTS" placeholder:"PERIOD"`
	RetainBytes   size   `help:"Most bytes of stored rows, e.g. 50GiB; 0 for no bound." default:"0" env:"QUADRAT_RETAIN_BYTES" placeholder:"SIZE"`
}

func (f *storeFlags) retention() storage.Retention {
	return storage.Retention{
		ReportsAge: time.Duration(f.RetainReports), ResultsAge: time.Duration(f.RetainResults), BytesMax: int64(f.RetainBytes),
	}
}
