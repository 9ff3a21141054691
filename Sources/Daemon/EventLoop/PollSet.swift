import Glibc

/// The descriptors of one poll(2) call. Places are fixed, a place without a descriptor holds -1, which the
/// kernel passes over.
struct PollSet {
  private var entries: [pollfd]

  init(places: Int) {
    entries = Array(repeating: pollfd(fd: -1, events: 0, revents: 0), count: places)
  }

  /// `events` of 0 leaves the place empty: else a hung-up socket nobody reads would make the loop spin.
  mutating func set(_ place: Int, _ fileDescriptor: Int32, _ events: Int16) {
    entries[place] = pollfd(fd: events == 0 ? -1 : fileDescriptor, events: events, revents: 0)
  }

  mutating func clear(_ place: Int) { entries[place].fd = -1 }

  /// Sleeps until a descriptor is ready or `timeout` nanoseconds have passed, rounded up to milliseconds: all
  /// that Swift's Glibc offers, and enough. A signal ends it early.
  /// With `naps` less than a millisecond is slept through first, all the same what becomes ready, and not rounded up.
  mutating func wait(timeout: Int64, naps: Bool = false) {
    var timeout = timeout
    if naps, 0 < timeout, timeout < 1_000_000 {
      usleep(UInt32(timeout / 1_000))
      timeout = 0
    }
    for place in entries.indices { entries[place].revents = 0 }
    let milliseconds = min(max(0, timeout + 999_999) / 1_000_000, 60_000)
    if unsafe poll(&entries, nfds_t(entries.count), Int32(milliseconds)) < 0 {
      // Interrupted: nothing was looked at.
      for place in entries.indices { entries[place].revents = 0 }
    }
  }

  /// Whether the place's descriptor is ready for something, errors and hang-ups included.
  func isReady(_ place: Int) -> Bool { entries[place].fd >= 0 && entries[place].revents != 0 }

  /// Whether it can be read, or has an error or hang-up to be read.
  func isReadable(_ place: Int) -> Bool {
    entries[place].fd >= 0 && entries[place].revents & Int16(POLLIN | POLLERR | POLLHUP) != 0
  }
}
