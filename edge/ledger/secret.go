package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/privacy"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/privacy/memo"
)

// The names of the file of the secret, and of one that isn't whole yet.
const (
	SecretName    = "ledger.secret"
	newSecretName = "ledger.secret.new"
)

// The layout of ledger.secret, version 1. Little endian.
const (
	secretMagic   = "QSEC"
	secretVersion = 1

	secretAtVersion  = 4
	secretAtOwner    = 8  // 16 bytes, as in the anchor
	secretAtSecret   = 24 // 32 bytes
	secretAtChecksum = 56 // uint32: CRC-32C of bytes 0…55
	secretBytes      = 60
)

// Secret returns the device's secret for permanent answers, and makes it the first time: written and synced, then bound to the ledger
// by a record, all before it is used. It fails with FaultSecret when the ledger is bound to a secret that isn't there, or has charged
// for answers under one that it never saw, and with other errors when it can't be made durable; then nothing may be answered. The
// secret must not be changed.
func (f *File) Secret() (*[privacy.SecretBytes]byte, error) {
	if err := f.ready(); err != nil {
		return nil, err
	}
	if f.secret != nil {
		return f.secret, nil
	}
	secret, err := storedSecret(f.config.Folder, f.owner, f.book)
	if errors.Is(err, errNoSecret) {
		secret, err = f.makeSecret()
	}
	if err != nil {
		return nil, err
	}
	f.secret = secret
	return secret, nil
}

// errNoSecret says that a ledger needs none so far.
var errNoSecret = errors.New("ledger: no secret yet")

// storedSecret reads the secret that a ledger is bound to. It fails with errNoSecret when it is bound to none and nothing was answered
// under one.
func storedSecret(folder disk.Folder, owner string, book *law.Book) (*[privacy.SecretBytes]byte, error) {
	mark, bound := book.Secret()
	if !bound {
		if book.Values() > 0 {
			return nil, FaultSecret
		}
		return nil, errNoSecret
	}
	stored, err := read(folder, SecretName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, FaultSecret
	}
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	secret, ok := decodeSecret(stored, owner)
	if !ok || memo.Mark(secret) != mark {
		return nil, FaultSecret
	}
	return secret, nil
}

// makeSecret makes a secret and binds the ledger to it. One that was written and not bound was never used; it is replaced.
func (f *File) makeSecret() (*[privacy.SecretBytes]byte, error) {
	secret, err := memo.NewSecret(f.config.Random)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if err := f.writeSecret(encodeSecret(&secret, f.owner)); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	mark := memo.Mark(&secret)
	next, record, err := f.chain.SealSecret(mark)
	if err != nil {
		return nil, err
	}
	if err := f.commit(next, record); err != nil {
		return nil, err
	}
	if err := f.booked(f.book.BindSecret(mark)); err != nil {
		return nil, err
	}
	return &secret, nil
}

// writeSecret puts the file in its place whole, and reads it back.
func (f *File) writeSecret(content []byte) error {
	folder := f.config.Folder
	fresh, err := folder.Open(newSecretName, true)
	if err != nil {
		return err
	}
	if err := errors.Join(fill(fresh, content), fresh.Close()); err != nil {
		_ = folder.Remove(newSecretName)
		return err
	}
	if err := folder.Rename(newSecretName, SecretName); err != nil {
		return err
	}
	if err := folder.Sync(); err != nil {
		return err
	}
	stored, err := read(folder, SecretName)
	if err == nil && !bytes.Equal(stored, content) {
		err = FaultSecret
	}
	return err
}

// fill gives a file its content, durably.
func fill(f disk.File, content []byte) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt(content, 0); err != nil {
		return err
	}
	return f.Sync()
}

func encodeSecret(secret *[privacy.SecretBytes]byte, owner string) []byte {
	b := make([]byte, secretBytes)
	copy(b, secretMagic)
	b[secretAtVersion] = secretVersion
	mark := ownerMark(owner)
	copy(b[secretAtOwner:], mark[:])
	copy(b[secretAtSecret:], secret[:])
	binary.LittleEndian.PutUint32(b[secretAtChecksum:], checksum(b[:secretAtChecksum]))
	return b
}

// decodeSecret reads what encodeSecret wrote for that owner, and accepts nothing else.
func decodeSecret(b []byte, owner string) (secret *[privacy.SecretBytes]byte, ok bool) {
	if len(b) != secretBytes {
		return nil, false
	}
	secret = (*[privacy.SecretBytes]byte)(bytes.Clone(b[secretAtSecret:secretAtChecksum]))
	if *secret == [privacy.SecretBytes]byte{} || !bytes.Equal(encodeSecret(secret, owner), b) {
		return nil, false
	}
	return secret, true
}
