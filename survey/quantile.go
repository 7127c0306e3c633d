package survey

import "github.com/quadrat-dev/quadrat/survey/interval"

// quantileT returns the t that a two-sided interval with this confidence and so many degrees of freedom needs.
func quantileT(confidence, degrees float64) float64 { return interval.TQuantile(confidence, degrees) }

// quantileZ returns the same for the normal distribution.
func quantileZ(confidence float64) float64 { return interval.ZQuantile(confidence) }
