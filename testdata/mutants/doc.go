// Package mutants holds bugs that somebody could write into faultd some day, and shows that the tests would notice
// each of them: make mutants.
package mutants
