// SPDX-License-Identifier: GPL-2.0-or-later

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

/** A JVM under load: threads that compute and allocate, the collector at work, timers, a file; checks itself when "go" appears. */
public class Load {
	static final AtomicLong work = new AtomicLong();
	static final AtomicLong ticks = new AtomicLong();
	static volatile boolean stop;

	static byte[] digest(Map<Integer, byte[]> map) throws Exception {
		MessageDigest sha = MessageDigest.getInstance("SHA-256");
		for (int i = 0; i < map.size(); i++)
			sha.update(map.get(i));
		return sha.digest();
	}

	static void burn() {
		Map<Long, String> churn = new ConcurrentHashMap<>();
		long n = 0;
		while (!stop) {
			churn.put(n % 5000, "value " + n);
			n++;
			if (n % 1000 == 0) {
				work.addAndGet(1000);
				Thread.onSpinWait();
				try {
					Thread.sleep(1);
				} catch (InterruptedException e) {
					return;
				}
			}
		}
	}

	static void check(String name, boolean good) {
		System.out.println((good ? "ok " : "FAIL ") + name);
	}

	static long writeSequence(FileOutputStream out) throws IOException, InterruptedException {
		long n = 0;
		while (!stop) {
			n++;
			out.write((n + "\n").getBytes());
			Thread.sleep(2);
		}
		return n;
	}

	public static void main(String[] args) throws Exception {
		Map<Integer, byte[]> map = new HashMap<>();
		for (int i = 0; i < 100000; i++)
			map.put(i, ("item " + i * 31).getBytes());
		byte[] before = digest(map);
		for (int i = 0; i < 4; i++)
			new Thread(Load::burn).start();
		ScheduledExecutorService timer = Executors.newScheduledThreadPool(2);
		timer.scheduleAtFixedRate(ticks::incrementAndGet, 5, 5, TimeUnit.MILLISECONDS);
		long[] n = new long[1];
		FileOutputStream seq = new FileOutputStream("seq.txt", true);
		Thread writer = new Thread(() -> {
			try {
				n[0] = writeSequence(seq);
			} catch (IOException | InterruptedException e) {
				System.out.println("FAIL sequence: " + e);
			}
		});
		writer.start();
		System.out.println("ready");
		while (!Files.exists(Path.of("go")))
			Thread.sleep(10);
		long w = work.get();
		long t = ticks.get();
		System.gc();
		Thread.sleep(500);
		check("work", work.get() > w);
		check("timer", ticks.get() > t);
		check("map", Arrays.equals(before, digest(map)));
		stop = true;
		writer.join();
		timer.shutdownNow();
		System.out.println("fact seq " + n[0]);
		System.out.println("done");
		System.exit(0);
	}
}
