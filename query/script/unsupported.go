package script

// Unsupported gives an [*UnsupportedError] about the first part of the script that the engine can't run yet, or nil. It
// is meant for a checked script.
func Unsupported(s *Script) error {
	for _, stat := range s.Select {
		switch stat.Kind {
		case "mean", "total", wordRatio, wordProportion, wordCount:
		default:
			return unsupportedAt(stat.Pos, stat.Kind, "mean, total, ratio, proportion and count can")
		}
	}
	if a := s.Sample; a != nil {
		if a.Clustered.Text != "" {
			return unsupportedAt(a.Clustered.Pos, "CLUSTERED BY", "STRATIFIED BY can")
		}
	}
	if w := s.Window; w.Every != nil && w.Every.Value != w.Length.Value {
		return unsupportedAt(w.Every.Pos, "EVERY other than the window", "leave EVERY out")
	}
	if p := s.Privacy; p != nil && p.Model == Gateway {
		return unsupportedAt(p.Pos, "PRIVACY GATEWAY", "LOCAL and NONE can")
	}
	return nil
}

func unsupportedAt(pos Pos, feature, hint string) *UnsupportedError {
	return &UnsupportedError{Line: pos.Line, Column: pos.Column, Feature: feature, Hint: hint}
}
