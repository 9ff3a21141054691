/// The known name that `name` was most likely meant to be, for "did you mean"; nil when nothing is known, or for a text
/// of more than 200 bytes, which was meant to be no name.
///
/// Nearest by edit distance, case ignored; the first of equals.
package func nearestName(to name: String, among known: [String]) -> String? {
  guard name.utf8.count <= 200 else { return nil }
  return known.map { (candidate: $0, distance: editDistance(name.lowercased(), $0.lowercased())) }
    .min { $0.distance < $1.distance }?.candidate
}

/// How many inserted, deleted, replaced or swapped neighbouring characters turn one text into the other.
///
/// Source: the "optimal string alignment" variant of the Damerau-Levenshtein distance.
func editDistance(_ left: String, _ right: String) -> Int {
  let left = Array(left.unicodeScalars)
  let right = Array(right.unicodeScalars)
  var beforeLast: [Int] = []
  var last = Array(0...right.count)
  for row in left.indices {
    var current = [row + 1]
    for column in right.indices {
      let replaced = last[column] + (left[row] == right[column] ? 0 : 1)
      var best = min(replaced, last[column + 1] + 1, current[column] + 1)
      if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
        best = min(best, beforeLast[column - 1] + 1)
      }
      current.append(best)
    }
    beforeLast = last
    last = current
  }
  return last[right.count]
}
