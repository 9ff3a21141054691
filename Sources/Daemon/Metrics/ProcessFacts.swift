import Foundation
import Glibc

/// What Linux tells about this process.
///
/// Source: proc(5), sections /proc/pid/stat and /proc/pid/fd. Not /proc/stat, which `ProcSubset=pid` of a systemd unit hides.
struct ProcessFacts: Equatable {
  var residentBytes: UInt64
  var virtualBytes: UInt64
  var cpuSeconds: Double
  var openFiles: UInt64
  var maximumFiles: UInt64
  /// Seconds since 1970.
  var startTime: Double

  /// Seconds since 1970 at which the machine started. Asked once, or a process would seem to start anew each time that a
  /// clock is set.
  private static let bootTime = Clock.seconds(CLOCK_REALTIME) - Clock.seconds(CLOCK_BOOTTIME)

  /// Reads /proc; throws when it is not mounted or not in the form of proc(5).
  static func current() throws -> ProcessFacts {
    let stat = try String(contentsOfFile: "/proc/self/stat", encoding: .utf8)
    let openFiles = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    guard
      let facts = ProcessFacts(
        stat: stat, bootTime: bootTime, ticksPerSecond: Double(sysconf(Int32(_SC_CLK_TCK))),
        pageSize: UInt64(clamping: sysconf(Int32(_SC_PAGESIZE))), openFiles: UInt64(openFiles),
        maximumFiles: FileLimit.current)
    else { throw ProcessFactsError() }
    return facts
  }

  /// `stat` is the text of /proc/self/stat; nil when it is not in its form.
  init?(
    stat: String, bootTime: Double, ticksPerSecond: Double, pageSize: UInt64, openFiles: UInt64,
    maximumFiles: UInt64
  ) {
    // The second field is the program's name in parentheses, and may hold spaces and parentheses itself.
    guard let nameEnd = stat.lastIndex(of: ")") else { return nil }
    let fields = stat[stat.index(after: nameEnd)...].split(whereSeparator: \.isWhitespace)
    func field(_ number: Int) -> UInt64? { number - 3 < fields.count ? UInt64(fields[number - 3]) : nil }
    guard let user = field(14), let system = field(15), let start = field(22), let virtual = field(23),
      let pages = field(24), ticksPerSecond > 0
    else { return nil }
    residentBytes = pages * pageSize
    virtualBytes = virtual
    cpuSeconds = Double(user + system) / ticksPerSecond
    startTime = bootTime + Double(start) / ticksPerSecond
    self.openFiles = openFiles
    self.maximumFiles = maximumFiles
  }
}

struct ProcessFactsError: Error, CustomStringConvertible {
  var description: String { "/proc/self/stat is not in the form of proc(5)" }
}
