import Foundation

/// Something that was expected did not happen in time.
struct TimedOut: Error, CustomStringConvertible {
  var description: String
}

/// Polls until `condition` holds. An error that it throws counts as "not yet", since servers come and go here;
/// the last one is part of the message when time is up.
func eventually(
  within limit: Duration = .seconds(20), _ what: String, _ condition: () throws -> Bool
) throws(TimedOut) {
  let clock = ContinuousClock()
  let end = clock.now.advanced(by: limit)
  var lastError = ""
  repeat {
    do {
      if try condition() { return }
      lastError = ""
    } catch {
      lastError = "; last error: \(error)"
    }
    Thread.sleep(forTimeInterval: 0.02)
  } while clock.now < end
  throw TimedOut(description: "not within \(limit): \(what)\(lastError)")
}

/// How long `work` took.
func elapsed(_ work: () throws -> Void) rethrows -> Duration {
  try ContinuousClock().measure(work)
}
