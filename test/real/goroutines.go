// SPDX-License-Identifier: GPL-2.0-or-later

// Thousands of goroutines that pass numbers round rings, allocate, sleep and write; checks itself when "go" appears.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	rings    = 50
	perRing  = 60
	blobSize = 1 << 16
	blobs    = 200
)

var hops, collected, ticks int64

func ring(stop chan struct{}, wg *sync.WaitGroup) {
	first := make(chan int)
	in := first
	for i := 0; i < perRing; i++ {
		out := make(chan int)
		if i == perRing-1 {
			out = first
		}
		wg.Add(1)
		go func(in, out chan int) {
			defer wg.Done()
			for {
				select {
				case v := <-in:
					atomic.AddInt64(&hops, 1)
					select {
					case out <- v + 1:
					case <-stop:
						return
					}
				case <-stop:
					return
				}
			}
		}(in, out)
		in = out
	}
	first <- 0
}

func fill(b []byte, seed uint32) [32]byte {
	for i := range b {
		seed = seed*1664525 + 1013904223
		b[i] = byte(seed >> 24)
	}
	return sha256.Sum256(b)
}

func check(name string, good bool) {
	if good {
		fmt.Println("ok", name)
	} else {
		fmt.Println("FAIL", name)
	}
}

func main() {
	runtime.GOMAXPROCS(4)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := 0; i < rings; i++ {
		ring(stop, &wg)
	}
	data := make([][]byte, blobs)
	sums := make([][32]byte, blobs)
	for i := range data {
		data[i] = make([]byte, blobSize)
		sums[i] = fill(data[i], uint32(i))
	}
	go func() {
		for {
			b := make([]byte, 100000)
			fill(b, 1)
			atomic.AddInt64(&collected, 1)
			time.Sleep(time.Millisecond)
		}
	}()
	go func() {
		for range time.Tick(5 * time.Millisecond) {
			atomic.AddInt64(&ticks, 1)
		}
	}()
	n := 0
	seqDone := make(chan struct{})
	go func() {
		seq, err := os.OpenFile("seq.txt", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0600)
		if err != nil {
			panic(err)
		}
		for {
			select {
			case <-stop:
				close(seqDone)
				return
			case <-time.After(2 * time.Millisecond):
				n++
				fmt.Fprintln(seq, n)
			}
		}
	}()
	fmt.Println("ready")
	for {
		if _, err := os.Stat("go"); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	h, c, t := atomic.LoadInt64(&hops), atomic.LoadInt64(&collected), atomic.LoadInt64(&ticks)
	runtime.GC()
	time.Sleep(300 * time.Millisecond)
	check("rings", atomic.LoadInt64(&hops) > h)
	check("allocation", atomic.LoadInt64(&collected) > c)
	check("ticker", atomic.LoadInt64(&ticks) > t)
	good := true
	for i := range data {
		good = good && sha256.Sum256(data[i]) == sums[i]
	}
	check("memory", good)
	close(stop)
	wg.Wait()
	<-seqDone
	fmt.Println("fact seq", n)
	fmt.Println("done")
}
