package main

// The program prints what it shows, and this checks it.
func Example() {
	main()
	// Output:
	//   database is asked for 42
	// read 1990 <nil>
	// read 1990 <nil>
	// read 1990 <nil>
	// read 1990 <nil>
	// delete: <nil>
	//   database is asked for 42
	// the other instance has the new price
}
