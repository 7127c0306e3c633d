package main

// The certificate and the distribution of every mechanism by name.
const (
	all          = "privacy/mechanisms"
	certificates = "TestEveryCertificateHolds/"
	draws        = "TestDrawsFollowTheExactDistribution/"
)

// mechanisms are bugs between the reading and the code, and in the scores.
func mechanisms() []mutant {
	const (
		thresholds = "privacy/threshold/threshold.go"
		warner     = "privacy/warner/warner.go"
		duchi      = "privacy/duchi/duchi.go"
		piecewise  = "privacy/piecewise/piecewise.go"
		hybrid     = "privacy/hybrid/hybrid.go"
		three      = "privacy/threeoutput/threeoutput.go"
		score      = "privacy/threeoutput/score.go"
		plateau    = "privacy/threshold/plateau.go"
		wave       = "privacy/squarewave/squarewave.go"
		laplace    = "privacy/laplace/laplace.go"
		sampler    = "privacy/laplace/sampler.go"
		source     = "privacy/source.go"
	)
	return []mutant{
		{"warner: threshold rounded down", certificate, thresholds, "if !exact {", "if exact {", all, certificates + "warner"},
		{"warner: ε spent twice", certificate, warner, "threshold.Flip(e.Micro())", "threshold.Flip(2*e.Micro())", all, certificates + "warner"},
		{"warner: truth and lie swapped", distribution, warner, "return input ^ threshold.Below(word, m.flip)", "return 1 ^ input ^ threshold.Below(word, m.flip)", all, draws + "warner"},
		{"warner: p and q swapped in the score", distribution, warner, "return (float64(code) - p) / (1 - 2*p), nil", "return (float64(code) - 1 + p) / (1 - 2*p), nil", all, draws + "warner"},
		{"warner: variance of the bit forgotten", distribution, warner, "return p * (1 - p) / ((1 - 2*p) * (1 - 2*p))", "return p * (1 - p)", all, draws + "warner"},
		{"duchi: threshold rounded to the wrong side", certificate, thresholds, "return (Flip(epsilonMicro) + step - 1) &^ (step - 1)", "return Flip(epsilonMicro) &^ (step - 1)", all, certificates + "duchi"},
		{"duchi: input off by one", certificate, duchi, "return m.low + uint64(input)*m.step", "return m.low + uint64(input+1)*m.step", all, certificates + "duchi"},
		{"duchi: no clamp, an input above the levels is taken", law, duchi, "if input > m.levels {\n\t\treturn 0, privacy.ErrInput", "if input > 2*m.levels {\n\t\treturn 0, privacy.ErrInput", all, "TestRefusals"},
		{"piecewise: threshold rounded up", certificate, thresholds, "inside.add(fixed{hi: uint64(levels)}))\n\treturn q", "inside.add(fixed{hi: uint64(levels)}))\n\treturn q + 1", all, certificates + "piecewise"},
		{"piecewise: ε where ε/2 belongs", certificate, piecewise, "split: threshold.Split(e.Micro(), window, levels)", "split: threshold.Split(2*e.Micro(), window, levels)", all, certificates + "piecewise"},
		{"piecewise: window of the wrong width", formula, thresholds, "half := expLower(epsilonMicro, two)", "half := expLower(epsilonMicro, one)", all, "TestVarianceTable"},
		{"piecewise: fill off by one", enumeration, piecewise, "behind := 1 - threshold.Below(high, uint64(input))", "behind := 1 - threshold.Below(high, uint64(input)+1)", "privacy/piecewise", "TestDrawHasTheStatedProbabilities"},
		{"piecewise: uneven words are kept", enumeration, piecewise, "if low < cells && low < -cells%cells {", "if low < cells && cells == 0 {", "privacy/piecewise", "TestEveryCellHasTheSameWords"},
		{"piecewise: others include the window", enumeration, piecewise, "outside := cell + behind*m.window", "outside := cell + behind*(m.window-1)", "privacy/piecewise", "TestDrawHasTheStatedProbabilities"},
		{"hybrid: one word for both coins", distribution, hybrid, "cell, err := m.cells.Place(input, coin, src)", "cell, err := m.cells.Place(input, mix, src)", all, draws + "hybrid"},
		{"hybrid: the wrong mixture", formula, hybrid, "m.mix = m.cells.Slope()", "m.mix = m.cells.Slope() / 2", "privacy/hybrid", "TestVarianceIsConstant"},
		{"hybrid: Duchi's bit lost", distribution, hybrid, "cell, m.cellCodes()+bit)", "cell, m.cellCodes())", all, draws + "hybrid"},
		{"three outputs: nothing too rare at the ends", certificate, plateau, "return (q + 1) &^ 1", "return q &^ 1 - 2", all, certificates + "three-output"},
		{"three outputs: the signs too sure", certificate, plateau, "return (n - 2*less) &^ (1<<16 - 1)", "return (n - less) &^ (1<<16 - 1)", all, certificates + "three-output"},
		{"three outputs: nothing of 1 left out", certificate, plateau, "n := -rest", "n := -rest / 2", all, certificates + "three-output"},
		{"three outputs: nothing the oftener the further out", certificate, three, "2*away", "2*(-away)", all, certificates + "three-output"},
		{"three outputs: what is left isn't shared evenly", certificate, three, "first = -silent/2 - tilt", "first = -silent/2 - tilt - 1", all, certificates + "three-output"},
		{"three outputs: low and high swapped", distribution, three, "return high - threshold.Below(word, first) - threshold.Below(word, second)", "return threshold.Below(word, first) + threshold.Below(word, second)", all, draws + "three-output"},
		{"three outputs: another share for nothing", formula, plateau, "curve := r * (whole + 2*r - square) >> 32", "curve := r * (whole + 2*r) >> 32", "privacy/threeoutput", "TestPlateauMinimisesTheMean"},
		{"three outputs: the score of another scale", distribution, score, "return (1 + (float64(code)-nothing)*m.scale()) / 2, nil", "return (1 + (float64(code)-nothing)*m.scale()*0.9) / 2, nil", all, draws + "three-output"},
		{"three outputs: codes tell too little noise", formula, score, "touch*(touch-2*edge)\n", "0.9*touch*(touch-2*edge)\n", "privacy/threeoutput", "TestNoiseOfIsAnUpperBound"},
		{"square wave: threshold of another window", certificate, piecewise, "split: threshold.Split(e.Micro(), window, levels)", "split: threshold.Split(e.Micro(), threshold.Window(e.Micro(), levels), levels)", all, certificates + "square-wave"},
		{"square wave: the piecewise window", formula, wave, "threshold.Wave(e.Micro(), levels))", "threshold.Window(e.Micro(), levels))", "privacy/squarewave", "TestPosition"},
		{"square wave: a shape from the wrong matrix", formula, "privacy/squarewave/shape.go", "outside*out + (inside-outside)*part", "outside*out + inside*part", "privacy/squarewave", "TestTransitions"},
		{"laplace: all of ε spent, nothing left for the bounded loops", certificate, laplace, "rate: e.Micro()<<spare - 1", "rate: e.Micro() << spare", "privacy/laplace", "TestCertificates"},
		{"laplace: sensitivity off by a hair", certificate, laplace, "unit: uint64(levels) * million << spare", "unit: (uint64(levels)*million - 1) << spare", "privacy/laplace", "TestCertificates"},
		{"laplace: zero has two ways to come", distribution, sampler, "case negative && magnitude == 0:", "case negative && magnitude < 0:", "privacy/laplace", "TestSmallGridDraws"},
		{"laplace: series read the wrong way round", distribution, sampler, "return k%2 == 1, nil", "return k%2 == 0, nil", "privacy/laplace", "TestCoin"},
		{"laplace: noise cut within the codes", certificate, sampler, "wholeMax = 64", "wholeMax = 16", "privacy/laplace", "TestCertificates"},
		{"laplace: a coin may go on half as long", certificate, sampler, "termsMax    = 32", "termsMax    = 8", "privacy/laplace", "TestCertificates"},
		{"laplace: few attempts, whatever the noise", certificate, sampler, "attemptsMax = 128", "attemptsMax = 16", "privacy/laplace", "TestCertificates"},
		{"laplace: uneven words are kept", enumeration, sampler, "if low >= n || low >= -n%n {", "if low >= 0 {", "privacy/laplace", "TestUniformIsEven"},
		{"laplace: whole scales counted one too few", enumeration, sampler, "return whole, nil", "return max(whole, 1) - 1, nil", "privacy/laplace", "TestNoiseFollowsItsDecisions"},
		{"laplace: last code scored as its own place", formula, "privacy/laplace/score.go", "place += m.beyond()", "place += 0", "privacy/laplace", "TestMoments"},
		{"source: a word that repeats is trusted", fault, source, "if begun && word == last {", "if begun && word == last && !s.started {", "privacy", "TestSecureSeesRepetitions"},
		{"source: the same bytes again are trusted", fault, source, "if s.started && last == s.spare {", "if s.started && last == s.spare && s.reader == nil {", "privacy", "TestSecureSeesRepetitions"},
		{"source: a failed read gives zeros", fault, source, "if err := s.draw(1); err != nil {\n\t\treturn 0, err", "if err := s.draw(1); err != nil {\n\t\treturn 0, nil", "privacy", "TestSecureFailsClosed|TestSecureStaysFailed"},
		{"source: seeded with a constant", fault, source, "word := binary.LittleEndian.Uint64(s.buf[:])\n\tclear", "word := s.spare + 1\n\tclear", "privacy", "TestSecure.*"},
		{"source: one key for all reports", fault, source, "s.chacha.Seed([keyWords * wordBytes]byte(s.buf[:]))", "s.chacha.Seed([keyWords * wordBytes]byte{})", "privacy", "TestExpansionIsChaCha8"},
		{"source: the key of a report is kept", fault, "privacy/stream.go", "*s.words = rand.ChaCha8{}", "_ = rand.ChaCha8{}", "privacy", "TestNothingOutlivesAReport"},
		{"shuffle: clones of a bit counted twice", formula, "privacy/shuffle/shuffle.go", "2/(1+math.Exp(s.Local.Float64()))", "min(1, 4/(1+math.Exp(s.Local.Float64())))", "privacy/shuffle", "TestBitBoundsEveryBatch"},
		{"shuffle: the worst batch is taken to be that of equal bits", formula, "privacy/shuffle/warner.go", "&& s.innocent(e, keep, from, middle, grain)", "", "privacy/shuffle", "TestWarnerIsTheWorstBatch"},
		{"shuffle: the tail that tells most begins one too late", formula, "privacy/shuffle/warner.go", "a*x.at(low-1)-more*x.from(low)", "a*x.at(low)-more*x.from(low+1)", "privacy/shuffle", "TestCrowdTells"},
		{"shuffle: a group judged by more than all its batches have", formula, "privacy/shuffle/warner.go", "crowd{ones: from, zeros: s.Reports - 1 - to, keep: keep}", "crowd{ones: to, zeros: s.Reports - 1 - to, keep: keep}", "privacy/shuffle", "TestGroupsCostLittle|TestWarnerIsTheWorstBatch"},
		{"shuffle: an export keeps the order of devices", distribution, "storage/shuffled.go", "order.Shuffle(len(held.rows),", "order.Shuffle(0*len(held.rows),", "storage", "TestShuffledOrdersAreAlike"},
		{"shuffle: an export tells the cluster", law, "storage/shuffled.go", "column.ReportStratumPopulation, column.ReportScore,", "column.ReportCluster, column.ReportScore,", "storage", "TestShuffledTellsNoDevice"},
		{"shuffle: a batch rounded up", law, "privacy/shuffle/party.go", "return n / unit * unit", "return (n + unit - 1) / unit * unit", "privacy/shuffle", "TestFigures"},
		{"shuffle: the largest batch in place of the smallest", counting, "engine/shuffled.go", "n < least)", "n > least)", "engine", "TestShuffledFiguresOfTheSmallestBatch"},
		{"bounds: levels rounded down", law, "privacy/bounds.go", "bits.Add64(lo, span/2, 0)", "bits.Add64(lo, 0, 0)", "privacy", "FuzzLevel"},
	}
}
