package script

func (p *parser) sample(s *Script) *Error {
	sample := &Sample{Pos: p.tokens[p.at-1].pos}
	s.Sample = sample
	if err := p.size(sample); err != nil {
		return err
	}
	for {
		t := p.peek()
		var err *Error
		switch {
		case t.is("PER") || t.is("CONFIDENCE"):
			return errorAt(t.pos, "write MARGIN m PER CELL CONFIDENCE p", "%s belongs right behind MARGIN m", upper(t))
		case t.is("STRATIFIED"):
			err = p.stratified(sample)
		case t.is("ALLOCATE"):
			return errorAt(t.pos, "write STRATIFIED BY attribute ALLOCATE …", "ALLOCATE belongs right behind STRATIFIED BY")
		case t.is("CLUSTERED"):
			err = p.clustered(sample)
		case t.is("ROTATING"), t.is("FIXED"):
			err = p.rotation(sample)
		default:
			return p.sampleEnd()
		}
		if err != nil {
			return err
		}
	}
}

// sampleEnd lets a clause follow and catches a misspelt part of SAMPLE.
func (p *parser) sampleEnd() *Error {
	t := p.peek()
	if t.kind != word || isReserved(t.text) {
		return nil
	}
	if w := near(t.text, "STRATIFIED", "CLUSTERED", "ROTATING", "FIXED", "CONFIDENCE", "ALLOCATE"); w != "" {
		return p.expected("STRATIFIED, CLUSTERED, ROTATING, FIXED or WINDOW", "did you mean "+w+"?")
	}
	return nil
}

// size reads ALL, n DEVICES, x PERCENT or MARGIN m [PER CELL] [CONFIDENCE p].
func (p *parser) size(s *Sample) *Error {
	const forms = "ALL, n DEVICES, x PERCENT or MARGIN m"
	t := p.peek()
	if t.is("ALL") {
		p.at++
		s.Size = All
		return nil
	}
	if t.is("MARGIN") {
		p.at++
		return p.margin(s)
	}
	signed := t.kind == symbol && (t.text == "-" || t.text == "+")
	if t.kind != number && t.kind != parameter && !signed {
		hint := didYouMean(t.text, "", "ALL", "MARGIN")
		if t.is("STRATIFIED") || t.is("CLUSTERED") || t.is("ROTATING") || t.is("FIXED") {
			hint = "write SAMPLE ALL " + upper(t)
		}
		return p.expected(forms, hint)
	}
	var err *Error
	if s.Number, err = p.number("a number"); err != nil {
		return err
	}
	switch t := p.peek(); {
	case p.accept("DEVICES"):
		s.Size = Devices
	case p.accept("PERCENT"):
		s.Size = Percent
	case t.kind == symbol && t.text == "%":
		return p.expected("DEVICES or PERCENT", "write PERCENT")
	default:
		return p.expected("DEVICES or PERCENT", didYouMean(t.text, "", "DEVICES", "PERCENT"))
	}
	return nil
}

func (p *parser) margin(s *Sample) *Error {
	s.Size = Margin
	var err *Error
	if s.Number, err = p.number("a margin, e.g. 0.5"); err != nil {
		return err
	}
	if t := p.peek(); p.accept("PER") {
		s.PerCell, s.PerCellPos = true, t.pos
		if err := p.keyword("CELL"); err != nil {
			return err
		}
	}
	if p.accept("CONFIDENCE") {
		s.Confidence, err = p.number("a confidence, e.g. 0.95")
	}
	if t := p.peek(); err == nil && t.is("PER") {
		return errorAt(t.pos, "write MARGIN m PER CELL CONFIDENCE p", "PER CELL stands before CONFIDENCE, and once")
	}
	return err
}

func (p *parser) stratified(s *Sample) *Error {
	t := p.take()
	if len(s.Stratified) > 0 {
		return errorAt(t.pos, "name all attributes in one, with commas", "a second STRATIFIED BY")
	}
	err := p.keyword("BY")
	if err != nil {
		return err
	}
	if s.Stratified, err = p.attributes(); err != nil {
		return err
	}
	t = p.peek()
	if !p.accept("ALLOCATE") {
		return nil
	}
	s.AllocatePos = t.pos
	for _, a := range []Allocation{Proportional, Equal, Neyman, Power} {
		if p.accept(string(a)) {
			s.Allocate = a
			break
		}
	}
	if s.Allocate == "" {
		return p.expected("PROPORTIONAL, EQUAL, NEYMAN or POWER a",
			didYouMean(p.peek().text, "", "PROPORTIONAL", "EQUAL", "NEYMAN", "POWER"))
	}
	if s.Allocate == Power {
		if k := p.peek().kind; k != number && k != parameter && k != symbol {
			return p.expected("an exponent between 0 and 1", "write POWER 0.5")
		}
		s.Exponent, err = p.number("an exponent between 0 and 1")
	}
	return err
}

func (p *parser) clustered(s *Sample) *Error {
	t := p.take()
	if s.Clustered.Text != "" {
		return errorAt(t.pos, "keep one of them", "a second CLUSTERED BY")
	}
	err := p.keyword("BY")
	if err != nil {
		return err
	}
	if s.Clustered, err = p.ident("an attribute"); err != nil {
		return err
	}
	if k := p.peek().kind; k != number && k != parameter {
		return nil
	}
	if s.Clusters, err = p.number("a number of clusters"); err != nil {
		return err
	}
	return p.keyword("CLUSTERS")
}

func (p *parser) rotation(s *Sample) *Error {
	t := p.take()
	if s.Rotation != "" {
		return errorAt(t.pos, "keep one of ROTATING and FIXED", "a second rotation")
	}
	s.Rotation, s.RotationPos = Rotation(upper(t)), t.pos
	return nil
}

func (p *parser) window(s *Script) *Error {
	s.Window.Pos = p.tokens[p.at-1].pos
	var err *Error
	if s.Window.Length, err = p.duration("the length of a window"); err != nil {
		return err
	}
	for {
		t := p.peek()
		var target **Duration
		switch {
		case t.is("EVERY"):
			target = &s.Window.Every
		case t.is("GRACE"):
			target = &s.Window.Grace
		case t.kind == word && !isReserved(t.text) && near(t.text, "EVERY", "GRACE") != "":
			return p.expected("EVERY, GRACE, PRIVACY or the end of the script", didYouMean(t.text, "", "EVERY", "GRACE"))
		default:
			return nil
		}
		if *target != nil {
			return errorAt(t.pos, "keep one of them", "a second %s", upper(t))
		}
		if t.is("EVERY") && s.Window.Grace != nil {
			return errorAt(t.pos, "write WINDOW d EVERY d GRACE d", "EVERY stands before GRACE")
		}
		p.at++
		d, err := p.duration("a duration behind " + upper(t))
		if err != nil {
			return err
		}
		*target = &d
	}
}
