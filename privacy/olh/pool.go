package olh

// pool is the public family of hash functions. It follows from k and the number
// of hash values g alone. P is a prime with P ≥ k and g | P-1. Function number
// s = 0…P-1 takes category c to the class of c+s modulo P, where the classes are
// the g cosets of the subgroup of index g in the numbers 1…P-1; c+s = 0 has no
// class. Over all s, two different categories share a class exactly (P-1)/g - 1
// times, whichever two: that is what makes scores unbiased without a hash that
// is only nearly uniform.
type pool struct {
	prime  uint32
	hashes uint32
	// root is the least number whose powers are all of 1…P-1.
	root uint32
	// share is (P-1)/g, the numbers in one class.
	share uint32
	// class is that of each number but 0.
	class []uint16
	// members lists the numbers of class 0, then those of class 1, and so on, each
	// in ascending order.
	members []uint32
}

func newPool(categories, hashes uint32) *pool {
	p := &pool{prime: primeFrom(categories, hashes), hashes: hashes}
	p.share = (p.prime - 1) / hashes
	p.class = make([]uint16, p.prime)
	p.members = make([]uint32, p.prime-1)
	p.root = rootOf(p.prime)
	root, number := uint64(p.root), uint64(1)
	for exponent := range p.prime - 1 {
		p.class[number] = uint16(exponent % hashes)
		number = number * root % uint64(p.prime)
	}
	filled := make([]uint32, hashes)
	for number := uint32(1); number < p.prime; number++ {
		class := uint32(p.class[number])
		p.members[class*p.share+filled[class]] = number
		filled[class]++
	}
	return p
}

// at returns c+s modulo P.
func (p *pool) at(category, seed uint32) uint32 {
	sum := category + seed
	if sum >= p.prime {
		sum -= p.prime
	}
	return sum
}

// primeFrom returns the least prime P ≥ least with divisor | P-1.
func primeFrom(least, divisor uint32) uint32 {
	p := (least+divisor-2)/divisor*divisor + 1
	for !prime(p) {
		p += divisor
	}
	return p
}

func prime(n uint32) bool {
	for d := uint32(2); d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}

// rootOf returns the least number whose powers are all of 1…prime-1.
func rootOf(prime uint32) uint32 {
	root := uint32(2)
	for !generates(root, prime) {
		root++
	}
	return root
}

// generates says that no power of the number by a proper divisor of prime-1 is 1.
func generates(number, prime uint32) bool {
	rest := prime - 1
	for d := uint32(2); rest > 1; d++ {
		if d*d > rest {
			d = rest
		}
		if rest%d != 0 {
			continue
		}
		for rest%d == 0 {
			rest /= d
		}
		if power(number, (prime-1)/d, prime) == 1 {
			return false
		}
	}
	return true
}

func power(base, exponent, modulus uint32) uint32 {
	result, square := uint64(1), uint64(base)
	for ; exponent > 0; exponent >>= 1 {
		if exponent&1 == 1 {
			result = result * square % uint64(modulus)
		}
		square = square * square % uint64(modulus)
	}
	return uint32(result)
}
