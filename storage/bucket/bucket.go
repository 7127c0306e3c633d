// Package bucket keeps whole objects in a bucket of an S3-compatible object store, or in a folder that stands for one: what
// storage's archive and the stores of shares need, and nothing else. Every upload to an object store carries its MD5, which the store
// checks, and is looked at again afterwards. It holds no state beside its connections. cmd reads the credentials.
//
//	b, err := bucket.Open(bucket.Config{URL: "s3://bucket/prefix", AccessKey: id, SecretKey: secret})
//	err = b.Put(ctx, "reports/…", file, size)
package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	attempts     = 3                // of one request, by the library
	patience     = time.Minute      // of a call, beside its bytes
	slowest      = 64 << 10         // bytes a second that a transfer must reach on the whole
	answerWithin = 30 * time.Second // for the head of an answer
)

// Config says which bucket. URL is required.
type Config struct {
	// URL is s3://bucket or s3://bucket/prefix.
	URL string
	// Endpoint is the URL of the service, whose scheme decides about TLS; empty for https://s3.amazonaws.com.
	Endpoint string
	// Region of the bucket; empty for us-east-1.
	Region string
	// AccessKey and SecretKey sign requests; with both empty requests are anonymous.
	AccessKey, SecretKey string
}

// Bucket is a folder of a bucket. It is safe for use by many goroutines.
type Bucket struct {
	client       *minio.Client
	name, prefix string
}

// Open makes the connections' settings; it does not connect.
func Open(c Config) (*Bucket, error) {
	where, err := url.Parse(c.URL)
	if err != nil || where.Scheme != "s3" || where.Host == "" || where.User != nil || where.RawQuery != "" {
		return nil, fmt.Errorf("bucket %q: write s3://bucket or s3://bucket/prefix", c.URL)
	}
	if c.Endpoint == "" {
		c.Endpoint = "https://s3.amazonaws.com"
	}
	service, err := url.Parse(c.Endpoint)
	if err != nil || service.Host == "" || service.Scheme != "http" && service.Scheme != "https" || strings.Trim(service.Path, "/") != "" {
		return nil, fmt.Errorf("endpoint %q: write http://host:port or https://host", c.Endpoint)
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	transport, err := minio.DefaultTransport(service.Scheme == "https")
	if err != nil {
		return nil, fmt.Errorf("bucket: %w", err)
	}
	transport.ResponseHeaderTimeout = answerWithin
	client, err := minio.New(service.Host, &minio.Options{
		Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Secure: service.Scheme == "https", Region: c.Region,
		Transport: transport, MaxRetries: attempts,
	})
	if err != nil {
		return nil, fmt.Errorf("bucket: %w", err)
	}
	return &Bucket{client: client, name: where.Host, prefix: strings.Trim(where.Path, "/")}, nil
}

func (b *Bucket) key(name string) string { return path.Join(b.prefix, name) }

// limited ends a call that moves bytes slower than any line in use would.
func limited(ctx context.Context, bytes int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience+time.Duration(bytes/slowest)*time.Second)
}

// Put writes an object, in place of one of that name, and returns once the store has confirmed its MD5 and tells its size.
func (b *Bucket) Put(ctx context.Context, name string, from io.ReaderAt, size int64) error {
	ctx, cancel := limited(ctx, size)
	defer cancel()
	_, err := b.client.PutObject(ctx, b.name, b.key(name), io.NewSectionReader(from, 0, size), size, minio.PutObjectOptions{
		ContentType: "application/vnd.apache.parquet", SendContentMd5: true, DisableMultipart: true,
	})
	if err != nil {
		return fmt.Errorf("put: %w", told(err))
	}
	info, err := b.client.StatObject(ctx, b.name, b.key(name), minio.StatObjectOptions{})
	if err != nil {
		return fmt.Errorf("look: %w", told(err))
	}
	if info.Size != size {
		return fmt.Errorf("put: the object store holds %d bytes of %d", info.Size, size)
	}
	return nil
}

// Get reads the bytes of an object from one on up to another; the caller closes it. An object that isn't there is an error that is
// fs.ErrNotExist.
func (b *Bucket) Get(ctx context.Context, name string, from, to int64) (io.ReadCloser, error) {
	if from < 0 || to <= from {
		return nil, fmt.Errorf("get: no bytes lie between %d and %d", from, to)
	}
	ctx, cancel := limited(ctx, to-from)
	options := minio.GetObjectOptions{}
	options.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to-1))
	core := minio.Core{Client: b.client}
	body, _, header, err := core.GetObject(ctx, b.name, b.key(name), options)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("get: %w", told(err))
	}
	if from > 0 && !strings.HasPrefix(header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)) {
		cancel()
		return nil, errors.Join(fmt.Errorf("get: %w: it ignores ranges", ErrRefused), body.Close())
	}
	return &reading{ReadCloser: body, cancel: cancel}, nil
}

// reading ends its call when it is closed.
type reading struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close lets go of the connection.
func (r *reading) Close() error {
	r.cancel()
	return r.ReadCloser.Close()
}

// Remove removes an object; one that isn't there is no error.
func (b *Bucket) Remove(ctx context.Context, name string) error {
	ctx, cancel := limited(ctx, 0)
	defer cancel()
	if err := b.client.RemoveObject(ctx, b.name, b.key(name), minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("remove: %w", told(err))
	}
	return nil
}

// List gives the names of the objects that begin with a prefix, in the order of their names. An error ends it.
func (b *Bucket) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		ctx, cancel := context.WithCancel(ctx) // however long the list is; each page has the library's patience
		defer cancel()
		above := b.key("")
		if above != "" {
			above += "/"
		}
		for found := range b.client.ListObjectsIter(ctx, b.name, minio.ListObjectsOptions{Prefix: above + prefix, Recursive: true}) {
			if found.Err != nil {
				yield("", fmt.Errorf("list: %w", told(found.Err)))
				return
			}
			if !yield(strings.TrimPrefix(found.Key, above), nil) {
				return
			}
		}
	}
}

// told makes an answer of the store one of our errors. Codes and texts of the store say nothing of keys or secrets. A bucket that isn't there
// is no object that went.
func told(err error) error {
	answer := minio.ToErrorResponse(err)
	switch {
	case answer.StatusCode == http.StatusNotFound && answer.Code != minio.NoSuchBucket:
		return fmt.Errorf("%w: %w", fs.ErrNotExist, err)
	case refused(answer):
		return fmt.Errorf("%w: %w (%s)", ErrRefused, err, answer.Code)
	case answer.StatusCode != 0:
		return fmt.Errorf("%w (%s)", err, answer.Code)
	}
	return err
}
