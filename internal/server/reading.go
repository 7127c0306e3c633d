package server

import (
	"fmt"
	"sync"

	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/query/service"
)

// readingBytes is what a call that reads stored rows is taken to hold while it runs: a row group or two, and what is made of them. It bounds how
// many of them run at once.
const readingBytes = 4 << 20

// desks are the places of those who read stored rows. The zero value has room for everybody.
type desks struct{ account *memory.Account }

// sit takes a place, which leave gives back; it is refused when all are taken.
func (d desks) sit() (leave func(), err error) {
	if !d.account.Take(readingBytes) {
		return nil, &service.Error{Code: service.TooMany, Message: fmt.Sprintf(
			"all %d places for calls that read stored rows are taken: come again when one has ended, or give the server more --memory",
			d.account.Limit()/readingBytes)}
	}
	return sync.OnceFunc(func() { d.account.Give(readingBytes) }), nil
}
