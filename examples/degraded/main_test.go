package main

// The program prints what it shows, and this checks it.
func Example() {
	main()
	// Output:
	// with Redis: "value of a" from load, error <nil>
	// without: "value of a" from l1, error <nil>
	// without: "value of b" from load, error <nil>
	// delete is queued: true
	// Redis is back, and knows of the delete
	// with Redis: "value of a" from load, error <nil>
}
