package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/storage/bucket"
)

// TestCheckTellsWhatStaysFromWhatPasses tries stores that work, that lack something, and that are away.
func TestCheckTellsWhatStaysFromWhatPasses(t *testing.T) {
	s := newS3(t)
	good := bucket.Config{URL: "s3://" + bucketName + "/rows", Endpoint: s.URL, AccessKey: accessKey, SecretKey: "not told to anybody"}
	with := func(change func(*bucket.Config)) bucket.Config {
		c := good
		change(&c)
		return c
	}
	for what, c := range map[string]struct {
		config  bucket.Config
		how     func()
		refused bool
		fails   bool
		says    string
	}{
		"a store as it should be": {good, func() {}, false, false, ""},
		"wrong keys":              {with(func(c *bucket.Config) { c.AccessKey = "AKIAOTHER" }), func() {}, true, true, "AccessDenied"},
		"no such bucket":          {with(func(c *bucket.Config) { c.URL = "s3://areas" }), func() {}, true, true, "NoSuchBucket"},
		"no ranges":               {good, func() { s.rangeless = true }, true, true, "ranges"},
		"no lists":                {good, func() { s.forgetful = true }, true, true, "not in its list"},
		"one that is busy":        {good, func() { s.fail = 1000 }, false, true, "SlowDown"},
		"one that damages":        {good, func() { s.flip = true }, false, true, "BadDigest"},
		"one that is away":        {with(func(c *bucket.Config) { c.Endpoint = "http://127.0.0.1:1" }), func() {}, false, true, ""},
	} {
		s.set(func() { s.rangeless, s.forgetful, s.flip, s.fail = false, false, false, 0; c.how() })
		b, err := bucket.Open(c.config)
		if err != nil {
			t.Fatal(err)
		}
		err = b.Check(t.Context(), true)
		if (err != nil) != c.fails || errors.Is(err, bucket.ErrRefused) != c.refused {
			t.Errorf("%s: %v", what, err)
		}
		if err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "not told to anybody")) {
			t.Errorf("%s: says %v", what, err)
		}
		s.set(func() { s.fail = 0 })
		if left := s.names(); len(left) != 0 {
			t.Errorf("%s: left behind %v", what, left)
		}
	}
}

// TestWhoReadsNeedsNoRightToWrite checks as an API process does.
func TestWhoReadsNeedsNoRightToWrite(t *testing.T) {
	s := newS3(t)
	if err := openBucket(t, s).Check(t.Context(), false); err != nil {
		t.Error(err)
	}
	if s.requests["PUT"] != 0 || s.requests["DELETE"] != 0 {
		t.Errorf("requests: %v", s.requests)
	}
}

// TestABucketThatIsGoneIsNoObjectThatWent tells the two apart: who reads asks again for an object that was replaced.
func TestABucketThatIsGoneIsNoObjectThatWent(t *testing.T) {
	s := newS3(t)
	b, err := bucket.Open(bucket.Config{URL: "s3://areas", Endpoint: s.URL, AccessKey: accessKey, SecretKey: "x"})
	if err != nil {
		t.Fatal(err)
	}
	_, got := b.Get(t.Context(), "a", 0, 1)
	for what, err := range map[string]error{
		"get": got, "put": b.Put(context.Background(), "a", bytes.NewReader([]byte("x")), 1), "remove": b.Remove(t.Context(), "a"),
	} {
		if !errors.Is(err, bucket.ErrRefused) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
