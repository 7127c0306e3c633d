package memory

import "sync/atomic"

// Account is what one part may hold and what it holds, in bytes. A nil account has no bound and counts nothing. Its methods are
// safe for use by many goroutines.
type Account struct {
	limit   int64
	sum     *Account // of this and others like it; nil for none
	used    atomic.Int64
	full    atomic.Int64
	measure atomic.Pointer[func() int64]
}

// NewAccount is an empty account of a part that may hold so many bytes, 0 for no bound.
func NewAccount(limit int64) *Account { return &Account{limit: max(limit, 0)} }

// under makes an account with a limit of its own, 0 for no bound, whose use and refusals are also its sum's. The limit of the sum holds
// none of those under it up.
func (a *Account) under(limit int64) *Account {
	return &Account{limit: limit, sum: a}
}

// end gives back to the sum what the account still holds.
func (a *Account) end() { a.sum.Give(a.used.Swap(0)) }

// Take adds n bytes, unless they go beyond the limit: then it counts a refusal and changes nothing.
func (a *Account) Take(n int64) bool {
	if a == nil {
		return true
	}
	for {
		used := a.used.Load()
		if a.limit > 0 && used+n > a.limit {
			a.Refuse()
			return false
		}
		if a.used.CompareAndSwap(used, used+n) {
			a.sum.Add(n)
			return true
		}
	}
}

// Add adds n bytes whether there is room or not; below 0 it gives them back.
func (a *Account) Add(n int64) {
	if a != nil {
		a.used.Add(n)
		a.sum.Add(n)
	}
}

// Give gives n bytes back.
func (a *Account) Give(n int64) { a.Add(-n) }

// Refuse counts that the part did what it does when it is full.
func (a *Account) Refuse() {
	if a != nil {
		a.full.Add(1)
		a.sum.Refuse()
	}
}

// Limit is what the part may hold; 0 for no bound.
func (a *Account) Limit() int64 {
	if a == nil {
		return 0
	}
	return a.limit
}

// Measure makes a part tell by itself what it holds beside what was taken from the account: of is called whenever somebody asks.
func (a *Account) Measure(of func() int64) {
	if a != nil {
		a.measure.Store(&of)
	}
}

// Used is what the part holds.
func (a *Account) Used() int64 {
	if a == nil {
		return 0
	}
	used := a.used.Load()
	if of := a.measure.Load(); of != nil {
		used += (*of)()
	}
	return used
}

// Refused is how often the part was full.
func (a *Account) Refused() int64 {
	if a == nil {
		return 0
	}
	return a.full.Load()
}

// Full tells whether the part holds as much as it may, or more.
func (a *Account) Full() bool { return a.Limit() > 0 && a.Used() >= a.limit }
