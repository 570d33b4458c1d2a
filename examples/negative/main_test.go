package main

// The program prints what it shows, and this checks it.
func Example() {
	main()
	// Output:
	//   database is asked for 7
	// absent: true
	// absent: true
	// delete: <nil>
	//   database is asked for 7
	// found: Customer 7 <nil>
}
