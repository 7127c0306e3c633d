// Package parquetcheck reads what a Parquet file claims about itself before a decoder makes room for it. The decoder
// takes the lengths in a footer and in the headers of pages at their word, so a damaged or hostile file of a kilobyte
// could ask for more memory than the machine has. Here every length must fit into the bytes that are there, nesting is
// bounded, and what a page says that it unpacks to must be possible.
//
// It never decodes a value and never judges whether a file is right; a file that passes may still fail to decode. Pages
// of Snappy, Zstandard and LZ4 are held to the length that they claim to unpack to, those of Gzip and Brotli are not, and
// the encodings inside what is unpacked are not looked at. storage and internal/tabular call it before the decoder:
//
//	if err := parquetcheck.Footer(in, size); err != nil { … }
package parquetcheck
