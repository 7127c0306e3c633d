// Package categories knows what the reports about categories mean: of a histogram, a frequency or a quantile each supports some
// categories, of a distribution each is a place on the scale that the mechanism puts out. The engine reads reports with it as they
// come, and who asks stored rows again reads these, so that both count the same.
//
// It never sees a true value, and keeps nothing of a report but counts.
//
//	b, err := categories.New(plan, mechanisms.Price{Report: epsilon})
//	said, ok := b.Read(value)   // a report as it came, or
//	ok := b.Add(&support, said) // one that was stored
package categories
