package bucket

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

// ErrRefused is what an object store won't do however often it is asked: its bucket isn't there, the keys are wrong or have no such right,
// or it lacks what is needed here.
var ErrRefused = errors.New("the object store refuses")

// checkWithin bounds [Bucket.Check].
const checkWithin = 20 * time.Second

// Check tries what is needed of an object store, on an object of its own that it removes afterwards: that it is written and confirmed, found
// in a list, and read in part. Without writes it lists alone, for who reads only. An error that is [ErrRefused] stays; any other may pass.
func (b *Bucket) Check(ctx context.Context, writes bool) error {
	ctx, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	name := "check-" + rand.Text()
	if !writes {
		_, err := b.lists(ctx, name)
		return err
	}
	content := []byte("written to see whether it can be, and removed\n")
	if err := b.Put(ctx, name, bytes.NewReader(content), int64(len(content))); err != nil {
		return err
	}
	found, err := b.lists(ctx, name)
	if err == nil && !found {
		err = fmt.Errorf("%w: what was written is not in its list", ErrRefused)
	}
	return errors.Join(err, b.readsPart(ctx, name, content), b.Remove(ctx, name))
}

func (b *Bucket) lists(ctx context.Context, name string) (found bool, err error) {
	for got, err := range b.List(ctx, name) {
		if err != nil {
			return false, err
		}
		found = found || got == name
	}
	return found, nil
}

func (b *Bucket) readsPart(ctx context.Context, name string, content []byte) error {
	const from, to = 3, 20
	body, err := b.Get(ctx, name, from, to)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		return fmt.Errorf("get: %w", err)
	}
	if !bytes.Equal(got, content[from:to]) {
		return fmt.Errorf("%w: a part that was read is not what was written", ErrRefused)
	}
	return nil
}

// refused tells whether an answer of the store would be the same again.
func refused(answer minio.ErrorResponse) bool {
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	case http.StatusNotImplemented, http.StatusMovedPermanently, http.StatusTemporaryRedirect:
		return true
	}
	return answer.StatusCode >= 400 && answer.StatusCode < 500 && answer.Code != "RequestTimeout" && answer.Code != "BadDigest"
}
