// SPDX-License-Identifier: Apache-2.0
// For a compiler to chew on; it includes nothing.

template <unsigned long... I> struct list {};
template <unsigned long N, unsigned long... I> struct count : count<N - 1, N - 1, I...> {};
template <unsigned long... I> struct count<0, I...> { using type = list<I...>; };

template <typename T> struct tree {
	T value;
	tree *left = nullptr, *right = nullptr;

	explicit tree(T given) : value(given) {}
	~tree()
	{
		delete left;
		delete right;
	}
	tree **find(const T &wanted)
	{
		return wanted < value ? &left : &right;
	}
	void put(T given)
	{
		tree **place = find(given);

		if (*place)
			(*place)->put(given);
		else
			*place = new tree(given);
	}
	template <typename F> void walk(F &&each) const
	{
		if (left)
			left->walk(each);
		each(value);
		if (right)
			right->walk(each);
	}
};

template <int N> struct number {
	long value;
	bool operator<(const number &other) const
	{
		return value % (N + 2) < other.value % (N + 2);
	}
};

template <int N> long sum_of(long seed)
{
	tree<number<N>> root({ seed });
	long sum = 0;

	for (long i = 0; i < N * 10; i++)
		root.put({ seed = seed * 6364136223846793005 + i });
	root.walk([&](const number<N> &one) { sum += one.value ^ N; });
	try {
		if (sum == 42)
			throw sum;
	} catch (long value) {
		sum -= value;
	}
	return sum;
}

template <unsigned long... I> long all(list<I...>, long seed)
{
	return (sum_of<I>(seed) + ...);
}

long everything(long seed)
{
	return all(typename count<60>::type(), seed);
}
