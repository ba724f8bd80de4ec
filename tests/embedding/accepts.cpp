// accepts: reads names of files from standard input, a line each; prints for each a line that is
// empty if C++ loads it as a policy, or says why not.
#include <algorithm>
#include <iostream>
#include <string>

#include "ascore/policy.hpp"

int main() {
  for (std::string path; std::getline(std::cin, path);) {
    std::string line;
    try {
      ascore::Policy::load(path);
    } catch (const ascore::FileError& error) {
      line = error.what();
      std::replace(line.begin(), line.end(), '\n', ' ');
    }
    std::cout << line << '\n';
  }
}
