import hamilton_steps
from hamilton import driver

if __name__ == "__main__":
    built = driver.Builder().with_modules(hamilton_steps).with_cache().build()
    print(built.execute(["load"]))
