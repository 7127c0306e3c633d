package survey_test

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/survey"
)

// Two regions were asked, not all devices answered, and each answer carries noise of a known variance.
func Example() {
	north := survey.Sample{Stratum: "north", Population: 800, Panel: 5, Responses: 4}
	for _, score := range []float64{19.5, 21, 20.5, 19} {
		north.Domain.Add(score, 0.25)
	}
	south := survey.Sample{Stratum: "south", Population: 200, Panel: 3, Responses: 3}
	for _, score := range []float64{25, 24, 26} {
		south.Domain.Add(score, 0.25)
	}
	mean, err := survey.Mean([]survey.Sample{north, south}, 0.95)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f, 95 %% interval %.2f to %.2f\n", mean.Value, mean.Low, mean.High)
	fmt.Printf("variance: %.4f sampling + %.4f privacy\n", mean.VarianceSampling, mean.VariancePrivacy)
	fmt.Printf("%d of %d answered\n", mean.Reports, mean.Panel)
	// Output:
	// 21.00, 95 % interval 20.02 to 21.98
	// variance: 0.1027 sampling + 0.0433 privacy
	// 7 of 8 answered
}

// The noise has the variance 4; it is taken out of the variance of the scores.
func ExampleVariance() {
	s := survey.Sample{Population: 500, Panel: 8, Responses: 8}
	for _, score := range []float64{19.5, 24, 20.5, 17, 22, 25.5, 16, 21} {
		s.Tails.Add(s.Domain, score) // before the score is in the moments
		s.Domain.Add(score, 4)
	}
	variance, err := survey.Variance([]survey.Sample{s}, survey.Powers{}, 0.95)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.2f, 95 %% interval %.2f to %.2f\n", variance.Value, variance.Low, variance.High)
	// Output: 6.42, 95 % interval 0.27 to 21.43
}
