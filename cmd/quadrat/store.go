package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/storage"
	"github.com/quadrat-dev/quadrat/storage/bucket"
)

// storeFlags are the flags of `quadrat serve` about what it stores.
type storeFlags struct {
	RetainReports period `help:"How long reports stay, e.g. 30d; 0 for ever." default:"0" env:"QUADRAT_RETAIN_REPORTS" placeholder:"PERIOD"`
	RetainResults period `help:"How long results stay; 0 for ever." default:"0" env:"QUADRAT_RETAIN_RESULTS" placeholder:"PERIOD"`
	RetainBytes   size   `help:"Most bytes of stored rows, e.g. 50GiB; 0 for no bound. In a cluster each share and the merger keep to an equal part of it." default:"0" env:"QUADRAT_RETAIN_BYTES" placeholder:"SIZE"`

	Bucket          string `help:"Bucket that all engines of a cluster keep rows and results in: s3://bucket/prefix, or file:///folder for one that all machines see; --archive-endpoint, -region and -key-file say how it is reached." env:"QUADRAT_BUCKET" placeholder:"URL"`
	Archive         string `help:"Bucket that stored rows are copied to when their date is over: s3://bucket/prefix." env:"QUADRAT_ARCHIVE" placeholder:"URL"`
	ArchiveEndpoint string `help:"URL of the object store; https://s3.amazonaws.com by default." env:"QUADRAT_ARCHIVE_ENDPOINT" placeholder:"URL"`
	ArchiveRegion   string `help:"Region of the bucket; us-east-1 by default." env:"QUADRAT_ARCHIVE_REGION" placeholder:"REGION"`
	ArchiveKeyFile  string `help:"File with the access key on its first line and the secret key on its second." env:"QUADRAT_ARCHIVE_KEY_FILE" type:"path" placeholder:"FILE"`
}

// archive opens the bucket; nil when there is none.
func (f *storeFlags) archive() (storage.Objects, error) {
	if f.Archive == "" {
		if f.Bucket != "" {
			return nil, nil
		}
		if f.ArchiveEndpoint != "" || f.ArchiveRegion != "" || f.ArchiveKeyFile != "" {
			return nil, &usageError{"--archive: the bucket is missing, though more is said of it"}
		}
		return nil, nil
	}
	b, err := f.open("--archive", f.Archive)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// shared opens the bucket of a cluster; nil when there is none.
func (f *storeFlags) shared() (storage.Bucket, error) {
	if f.Bucket == "" {
		return nil, nil
	}
	if path, ok := strings.CutPrefix(f.Bucket, "file://"); ok {
		folder, err := bucket.OpenFolder(path)
		if err != nil {
			return nil, fmt.Errorf("--bucket: %w", err)
		}
		return folder, nil // open for the life of the process
	}
	b, err := f.open("--bucket", f.Bucket)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// open opens the bucket of a flag by its URL.
func (f *storeFlags) open(flag, url string) (*bucket.Bucket, error) {
	config := bucket.Config{URL: url, Endpoint: f.ArchiveEndpoint, Region: f.ArchiveRegion}
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
		return nil, &usageError{flag + ": " + err.Error()}
	}
	return b, nil
}

// checked is a bucket that can be tried before it is relied upon.
type checked interface {
	Check(ctx context.Context, writes bool) error
}

// check tries the buckets. A cluster's that refuses is an error, since nothing would be stored; what may pass, and whatever an archive says, is
// logged, since the server takes reports meanwhile.
func (f *storeFlags) check(ctx context.Context, config *server.Config) error {
	if b, ok := config.Bucket.(checked); ok {
		err := b.Check(ctx, config.Role != server.RoleAPI)
		if errors.Is(err, bucket.ErrRefused) {
			return fmt.Errorf("--bucket %s: %w", f.Bucket, err)
		}
		if err != nil {
			config.Logger.Warn("the bucket can't be reached; what is counted waits for it", "bucket", f.Bucket, "error", err)
		}
	}
	if b, ok := config.Archive.(checked); ok {
		if err := b.Check(ctx, true); err != nil {
			config.Logger.Error("nothing can be archived; files stay where they are", "archive", f.Archive, "error", err)
		}
	}
	return nil
}

func (f *storeFlags) retention() storage.Retention {
	return storage.Retention{
		ReportsAge: time.Duration(f.RetainReports), ResultsAge: time.Duration(f.RetainResults), BytesMax: int64(f.RetainBytes),
	}
}
