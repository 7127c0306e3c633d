package survey_test

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/survey"
)

// Two processes each saw a part of a stratum's reports; one sends its state to the other, 29 bytes whatever their number.
func ExampleMoments_MarshalBinary() {
	var here, there survey.Moments
	for _, score := range []float64{19.5, 22, 24.5} {
		here.Add(score, 4)
	}
	for _, score := range []float64{20, 26} {
		there.Add(score, 4)
	}
	sent, err := there.MarshalBinary()
	if err != nil {
		fmt.Println(err)
		return
	}
	var received survey.Moments
	if err := received.UnmarshalBinary(sent); err != nil {
		fmt.Println(err)
		return
	}
	here.Merge(received)
	e, err := survey.Mean([]survey.Sample{{Stratum: "north", Population: 100, Panel: 6, Responses: 5, Domain: here}}, 0.95)
	fmt.Printf("%d bytes, mean %.1f ± %.2f %v\n", len(sent), e.Value, e.StdError, err)
	fmt.Println(received.UnmarshalBinary(sent[:10]))
	// Output:
	// 29 bytes, mean 22.4 ± 1.24 <nil>
	// survey: invalid input: state of moments: mean: the bytes end
}
