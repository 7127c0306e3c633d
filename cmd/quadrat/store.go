package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/storage"
	"github.com/quadrat-dev/quadrat/storage/bucket"
)

// storeFlags are the flags of `quadrat serve` about what it stores.
type storeFlags struct {
	RetainReports period `help:"How long reports stay, e.g. 30d; 0 for ever." default:"0" env:"QUADRAT_RETAIN_REPORTS" placeholder:"PERIOD"`
	RetainResults period `help:"How long results stay; 0 for ever." default:"0" env:"QUADRAT_RETAIN_RESULTS" placeholder:"PERIOD"`
	RetainBytes   size   `help:"Most bytes of stored rows, e.g. 50GiB; 0 for no bound." default:"0" env:"QUADRAT_RETAIN_BYTES" placeholder:"SIZE"`

	Archive         string `help:"Bucket that stored rows are copied to when their date is over: s3://bucket/prefix." env:"QUADRAT_ARCHIVE" placeholder:"URL"`
	ArchiveEndpoint string `help:"URL of the object store; https://s3.amazonaws.com by default." env:"QUADRAT_ARCHIVE_ENDPOINT" placeholder:"URL"`
	ArchiveRegion   string `help:"Region of the bucket; us-east-1 by default." env:"QUADRAT_ARCHIVE_REGION" placeholder:"REGION"`
	ArchiveKeyFile  string `help:"File with the access key on its first line and the secret key on its second." env:"QUADRAT_ARCHIVE_KEY_FILE" type:"path" placeholder:"FILE"`
}

// archive opens the bucket; nil when there is none.
func (f *storeFlags) archive() (storage.Objects, error) {
	if f.Archive == "" {
		if f.ArchiveEndpoint != "" || f.ArchiveRegion != "" || f.ArchiveKeyFile != "" {
			return nil, &usageError{"--archive: the bucket is missing, though more is said of it"}
		}
		return nil, nil
	}
	config := bucket.Config{URL: f.Archive, Endpoint: f.ArchiveEndpoint, Region: f.ArchiveRegion}
	if f.ArchiveKeyFile != "" {
		raw, err := os.ReadFile(f.ArchiveKeyFile)
		if err != nil {
			return nil, fmt.Errorf("--archive-key-file: %w", err)
		}
		lines := strings.Fields(string(raw))
		if len(lines) != 2 {
			return nil, fmt.Errorf("--archive-key-file %s: two lines are needed, access key and secret key", f.ArchiveKeyFile)
		}
		config.AccessKey, config.SecretKey = lines[0], lines[1]
	}
	b, err := bucket.Open(config)
	if err != nil {
		return nil, &usageError{"--archive: " + err.Error()}
	}
	return b, nil
}

func (f *storeFlags) retention() storage.Retention {
	return storage.Retention{
		ReportsAge: time.Duration(f.RetainReports), ResultsAge: time.Duration(f.RetainResults), BytesMax: int64(f.RetainBytes),
	}
}
